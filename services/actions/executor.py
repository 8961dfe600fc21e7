"""Executes an action: authorise, plan again and compare, check guards, record, act once, re-read, record."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.actions import log_reader, log_writer
from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import Action, ActionState
from services.actions.log_writer import UNCLAIMED_ATTEMPT, ActionRecord
from services.actions.plan import MAX_REASON_LENGTH, Confirmation, Plan, diff_plans
from services.auth.roles import Actor, InsufficientRole, require_role
from services.core.errors import OnCallError
from services.gcp.clients import Clients

RECORD_TIMEOUT_S = 120
HEARTBEAT_S = 30.0


class ActionRefused(OnCallError):
    """The action was refused; nothing was done."""


def execute(
    clients: Clients,
    actor: Actor,
    action_type: ActionType,
    plan: Plan,
    reason: str = "",
    confirmation: str = "",
    wait: bool = True,
) -> Action:
    """Carry out `plan` at most once, whoever else requests it, and return the action as the log has it.

    Without `wait` what goes on elsewhere is not followed: the action is returned without an outcome, which `recover` records.
    Raises InsufficientRole or ActionRefused after recording it, and ActionNotRecorded when nothing could be recorded and
    so nothing was done.
    """
    action_record = ActionRecord(uuid.uuid4().hex, actor, plan, UNCLAIMED_ATTEMPT, reason.strip())
    try:
        require_role(actor, action_type.required_role, f"“{plan.title}”")
    except InsufficientRole as denied:
        log_writer.log_refusal(clients, action_record, ActionState.DENIED, denied.message)
        raise
    same_key_actions = _read_attempts(clients, action_type, plan)
    if (duplicate := _find_duplicate(same_key_actions, plan)) is not None:
        return duplicate
    refusal = _reasons_to_refuse(clients, action_type, plan, reason, confirmation)
    # Somebody acted between our two reads, which is why the state has changed: their action is this one.
    if refusal and (duplicate := _find_duplicate(log_reader.read_by_key(clients, plan.key), plan)) is not None:
        return duplicate
    if refusal:
        log_writer.log_refusal(clients, action_record, ActionState.REFUSED, refusal)
        raise ActionRefused(f"Blocked, nothing was run: {refusal}", "Review the new plan.")
    # The number comes from the same read that found no duplicate: if somebody has begun since, the number is taken.
    last_attempt = max((action.attempt for action in same_key_actions), default=UNCLAIMED_ATTEMPT)
    action_record = replace(action_record, attempt=last_attempt + 1)
    if not log_writer.claim_attempt(clients, action_record):
        return _winner_of_claim(clients, action_record)
    return _execute_claimed(clients, action_type, action_record, wait)


def recover(clients: Clients, action_type: ActionType, action: Action) -> Verification:
    """Re-read the outcome of an action that no process follows, and record it; while it is under way, that."""
    verification, record = action_type.verify(clients, action.plan, action.facts), log_writer.record_for(action)
    if verification.state is ActionState.IN_PROGRESS:
        log_writer.log_heartbeat(clients, record, verification.message)
    else:
        _record_outcome(clients, record, verification, {"found_again": True})
    return verification


def _read_attempts(clients: Clients, action_type: ActionType, plan: Plan) -> tuple[Action, ...]:
    """The actions with this plan's key. One that lost its process is finished first: it must not count as under way for ever."""
    actions = log_reader.read_by_key(clients, plan.key)
    abandoned = [action for action in actions if action.is_abandoned(clients.now())]
    for action in abandoned:
        recover(clients, action_type, action)
    return log_reader.read_by_key(clients, plan.key) if abandoned else actions


def _find_duplicate(same_key_actions: Sequence[Action], plan: Plan) -> Action | None:
    """The same action, if somebody began it since this plan was made or has it under way: a second click belongs to it."""
    claimed = [action for action in same_key_actions if action.attempt > UNCLAIMED_ATTEMPT]
    return next((a for a in reversed(claimed) if a.ended_at is None or a.started_at >= plan.planned_at), None)


def _winner_of_claim(clients: Clients, action_record: ActionRecord) -> Action:
    """The action that has taken this attempt."""
    for action in log_reader.read_by_key(clients, action_record.plan.key):
        if action.attempt == action_record.attempt:
            return action
    raise _not_recorded(action_record.plan)


def _reasons_to_refuse(clients: Clients, action_type: ActionType, plan: Plan, reason: str, confirmation: str) -> str:
    """Why the plan cannot be run as it was shown, from a plan made now; empty when it can."""
    try:
        current = action_type.plan(clients, plan.args)
    except OnCallError as error:
        return f"the plan could not be built again: {error.message}"
    if current.hash != plan.hash:
        return "the state changed since the plan was built: " + "; ".join(diff_plans(plan, current)) + "."
    if current.failed_guards:
        return " ".join(guard.message for guard in current.failed_guards)
    if len(reason.strip()) > MAX_REASON_LENGTH:
        return f"the reason has {len(reason.strip()):,} of {MAX_REASON_LENGTH} characters."
    if current.confirmation is Confirmation.TYPED and not reason.strip():
        return "a reason is required."
    if current.confirmation is Confirmation.TYPED and confirmation.strip() != current.confirmation_text:
        return f"“{current.confirmation_text}” must be typed exactly."
    return ""


def _execute_claimed(clients: Clients, action_type: ActionType, action_record: ActionRecord, wait: bool) -> Action:
    details: dict[str, Any] = {}

    def report_progress(message: str, **new_details: Any) -> None:
        details.update(new_details)
        try:
            log_writer.log_step(clients, action_record, message, new_details)
        except log_writer.ActionNotRecorded:
            logging.getLogger(__name__).warning("a step of %s was not recorded", action_record.action_id, exc_info=True)

    context = ActionContext(clients, action_record.actor, action_record.plan, action_record.action_id, report_progress)
    with _heartbeats(clients, action_record):
        failure = _act(action_type, context, details, wait)
        if failure or wait or action_type.follow is None:
            verification = _verify(clients, action_type, action_record.plan, details, failure)
            _record_outcome(clients, action_record, verification, details)
    action = log_reader.read_action(clients, action_record.action_id)
    if action is None:
        raise _not_recorded(action_record.plan)
    return action


def _act(action_type: ActionType, context: ActionContext, details: dict[str, Any], wait: bool) -> str:
    """Act once, and with `wait` follow it to its end; adds to `details`. Returns why it failed, else an empty text."""
    try:
        details |= action_type.apply(context)
        if action_type.follow is not None and wait:
            action_type.follow(context, details)
        elif action_type.follow is not None:
            context.report_progress("Accepted; a later check verifies it.", **{log_reader.VERIFIED_LATER: True})
    except OnCallError as error:
        return str(error)
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", context.plan.title)
        return f"Dashboard bug ({type(error).__name__}): please report it with its log."
    return ""


@contextmanager
def _heartbeats(clients: Clients, action_record: ActionRecord) -> Iterator[None]:
    """Record regularly that the action is worked on: one without such a record has lost its process."""
    ended = threading.Event()

    def record_regularly() -> None:
        while not ended.wait(HEARTBEAT_S):
            try:
                log_writer.log_heartbeat(clients, action_record, "under way")
            except log_writer.ActionNotRecorded:
                logging.getLogger(__name__).warning("a heartbeat was not recorded", exc_info=True)

    threading.Thread(target=record_regularly, name=f"heartbeat {action_record.action_id}", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _verify(clients: Clients, action_type: ActionType, plan: Plan, details: Details, failure: str) -> Verification:
    """The result of the re-read. A call whose answer was lost may have worked; one that was answered with success may not have."""
    try:
        verification = action_type.verify(clients, plan, details)
    except OnCallError as error:
        return Verification(ActionState.UNVERIFIED, f"{failure} The result could not be read: {error.message}".strip())
    if verification.state is ActionState.IN_PROGRESS:
        return replace(verification, state=ActionState.UNVERIFIED, message=f"{failure} {verification.message}".strip())
    return replace(verification, message=f"{failure} {verification.message}".strip()) if failure else verification


def _record_outcome(
    clients: Clients, action_record: ActionRecord, verification: Verification, details: Details
) -> None:
    """Record the outcome, trying for a while: an effect without an outcome would have to be traced by a person."""
    outcome_details = {**details, "after": dict(verification.after)}
    for attempt in Retrying(
        retry=retry_if_exception_type(log_writer.ActionNotRecorded),
        wait=wait_random_exponential(multiplier=0.5, max=15),
        stop=stop_after_delay(RECORD_TIMEOUT_S),
        reraise=True,
    ):
        with attempt:
            log_writer.log_outcome(
                clients, action_record, verification.state, verification.message, outcome_details, verification.coverage
            )


def _not_recorded(plan: Plan) -> log_writer.ActionNotRecorded:
    return log_writer.ActionNotRecorded(
        f"The result of “{plan.title}” is not recorded yet.",
        "Check the action log in a minute before retrying.",
    )
