"""The one life of every action: authorise, plan again and compare, check guards, record, act once, re-read, record."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.actions import log_reader as log
from services.actions import log_writer as record
from services.actions.log_reader import Action, State
from services.actions.log_writer import NOT_CLAIMED, Entry
from services.actions.plan import Friction, Plan, differences
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.auth.roles import Actor, Denied, authorise
from services.core.errors import OnCallError
from services.gcp.clients import Cloud

KEEP_TRYING_TO_RECORD_S = 120


class Refused(OnCallError):
    """The action was refused; nothing was done."""


def run_action(cloud: Cloud, actor: Actor, verb: Verb, plan: Plan, reason: str = "", typed: str = "") -> Action:
    """Do `plan` at most once, whoever else asks for it, and return what the log says of it.

    Raises Denied or Refused after recording it, and NotRecorded when nothing could be recorded and so nothing was done.
    """
    entry = Entry(uuid.uuid4().hex, actor, plan, NOT_CLAIMED, reason.strip())
    try:
        authorise(actor, verb.needs, f"“{plan.title}”")
    except Denied as denied:
        record.refusal(cloud, entry, State.DENIED, denied.sentence)
        raise
    known = log.read_same(cloud, plan.key)
    if (same := _same(known, plan)) is not None:
        return same
    refusal = _why_not(cloud, verb, plan, reason, typed)
    # Whoever acted between our two looks changed the state that we now find changed: theirs is this action.
    if refusal and (same := _same(log.read_same(cloud, plan.key), plan)) is not None:
        return same
    if refusal:
        record.refusal(cloud, entry, State.REFUSED, refusal)
        raise Refused(f"Refused, nothing was done: {refusal}", "Look at the plan anew.")
    # The number comes from the same look as the decision that nobody has begun: who began since, has taken it.
    entry = replace(entry, attempt=1 + max((action.attempt for action in known), default=NOT_CLAIMED))
    if not record.claim(cloud, entry):
        return _claimed(cloud, entry)
    return _carry_out(cloud, verb, entry)


def finish(cloud: Cloud, verb: Verb, action: Action) -> Verdict:
    """Re-read what came of an action whose process died, and record it; still under way records nothing."""
    verdict = verb.verify(cloud, action.plan, action.facts)
    if verdict.state is not State.UNDER_WAY:
        _record(cloud, record.entry_of(action), verdict, {"found_again": True})
    return verdict


def _same(known: Sequence[Action], plan: Plan) -> Action | None:
    """The same action, if somebody began it since this plan was made or has it under way: a second click belongs to it."""
    begun = [action for action in known if action.attempt > NOT_CLAIMED]
    return next((a for a in reversed(begun) if a.ended is None or a.begun >= plan.planned_at), None)


def _claimed(cloud: Cloud, entry: Entry) -> Action:
    """The action that has taken this attempt."""
    known = log.read_same(cloud, entry.plan.key)
    return next((action for action in known if action.attempt == entry.attempt), None) or _lost(entry.plan)


def _why_not(cloud: Cloud, verb: Verb, plan: Plan, reason: str, typed: str) -> str:
    """Why the plan cannot be run as it was shown, from a fresh look; empty when it can."""
    try:
        fresh = verb.plan(cloud, plan.args)
    except OnCallError as error:
        return f"it could not be planned again: {error.sentence}"
    if fresh.hash != plan.hash:
        return "things changed since the plan was shown: " + "; ".join(differences(plan, fresh)) + "."
    if fresh.blocked:
        return " ".join(guard.sentence for guard in fresh.blocked)
    if fresh.friction is Friction.TYPED and not reason.strip():
        return "a reason is needed."
    if fresh.friction is Friction.TYPED and typed.strip() != fresh.typed:
        return f"“{fresh.typed}” has to be typed, letter by letter."
    return ""


def _carry_out(cloud: Cloud, verb: Verb, entry: Entry) -> Action:
    facts: dict[str, Any] = {}

    def note(sentence: str, **found: Any) -> None:
        facts.update(found)
        try:
            record.step(cloud, entry, sentence, found)
        except record.NotRecorded:
            logging.getLogger(__name__).warning("a step of %s was not recorded", entry.action_id, exc_info=True)

    trouble = ""
    try:
        facts |= verb.effect(Deed(cloud, entry.actor, entry.plan, entry.action_id, note))
    except OnCallError as error:
        trouble = str(error)
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", entry.plan.title)
        trouble = f"A fault of the dashboard ({type(error).__name__}): report it with its log."
    _record(cloud, entry, _verified(cloud, verb, entry.plan, facts, trouble), facts)
    return log.read_action(cloud, entry.action_id) or _lost(entry.plan)


def _verified(cloud: Cloud, verb: Verb, plan: Plan, facts: Facts, trouble: str) -> Verdict:
    """What the re-read says. An answer that was lost may still have done it; one that said yes may not have."""
    try:
        verdict = verb.verify(cloud, plan, facts)
    except OnCallError as error:
        return Verdict(State.UNVERIFIED, f"{trouble} What came of it could not be read: {error.sentence}".strip())
    if verdict.state is State.UNDER_WAY:
        return replace(verdict, state=State.UNVERIFIED, sentence=f"{trouble} {verdict.sentence}".strip())
    return replace(verdict, sentence=f"{trouble} {verdict.sentence}".strip()) if trouble else verdict


def _record(cloud: Cloud, entry: Entry, verdict: Verdict, facts: Facts) -> None:
    """Record the outcome, trying for a while: an effect without an outcome has to be found again by a person."""
    told = {**facts, "after": dict(verdict.after)}
    for attempt in Retrying(
        retry=retry_if_exception_type(record.NotRecorded),
        wait=wait_random_exponential(multiplier=0.5, max=15),
        stop=stop_after_delay(KEEP_TRYING_TO_RECORD_S),
        reraise=True,
    ):
        with attempt:
            record.outcome(cloud, entry, verdict.state, verdict.sentence, told, verdict.coverage)


def _lost(plan: Plan) -> Action:
    raise record.NotRecorded(
        f"The log does not show what came of “{plan.title}”.",
        "Look at the action log in a minute; do not repeat it yet.",
    )
