"""Adds a note about a night, a batch, a player or an alert: its record in the action log is the note, and nothing changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from services.actions import log_reader
from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.alerts.actions import read_alert
from services.batches.ids import MAX_NAME_LENGTH
from services.core.clock import format_day
from services.core.errors import InvalidInput
from services.core.sources import ACTIONS
from services.gcp.clients import Clients
from services.notes.note import ADD_NOTE_NAME, About, find_subject, list_notes
from services.runs.actions import read_batch

MAX_NOTE_LENGTH = 2_000  # characters


def plan_note(now: datetime, args: Params) -> Plan:
    """The note that `text` and one of alert_id, batch_id, player with game_date, or game_date alone would be. Pure.

    Raises InvalidInput where nothing, or what cannot be, is named.
    """
    given: Mapping[str, Any] = {key: args[key] for key in ("text", *(about.value for about in About)) if args.get(key)}
    if (found := find_subject(given)) is None:
        raise InvalidInput("A note is about a night, a batch, a player or an alert: none is named.", "Name one.")
    about, subject, game_date = found
    if game_date is None and (about is About.NIGHT or args.get("player") == subject):
        raise InvalidInput(f"{args.get('game_date')!r} is not a game date.", "Expected YYYY-MM-DD.")
    if len(subject) > MAX_NAME_LENGTH:
        raise InvalidInput(f"“{subject[:40]}…” is no {about.word}: it has {len(subject):,} characters.")
    text = str(args.get("text") or "").strip()
    return Plan(
        action_name=ADD_NOTE_NAME,
        target=subject,
        title=f"Add note{TITLE_SEPARATOR}{about.word} {_format_subject(about, subject, game_date)}",
        args={**given, "text": text},
        preconditions={},
        changes=(Change("note", "", text),),
        guards=tuple(_guards(text)),
        planned_at=now,
        undo="A note stays; add another to correct it.",
        cost="No cost.",
    )


def _format_subject(about: About, subject: str, game_date: date | None) -> str:
    day = format_day(game_date) if game_date is not None else ""
    if about is About.NIGHT:
        return day
    return f"{subject}, {day}" if about is About.PLAYER else subject


def _guards(text: str) -> Iterator[Guard]:
    length = len(text)
    fits = f"{length:,} of {MAX_NOTE_LENGTH:,} characters"
    too_long = f"The note has {fits}: shorten it by {length - MAX_NOTE_LENGTH:,}."
    yield Guard("length", length <= MAX_NOTE_LENGTH, fits if length <= MAX_NOTE_LENGTH else too_long)
    yield Guard("text", bool(text), "The note has a text." if text else "Write a note.")


def _plan(clients: Clients, args: Params) -> Plan:
    """The plan, where what the note is about exists; a player's name is not looked up."""
    plan = plan_note(clients.now(), args)
    if args.get("alert_id"):
        read_alert(clients, plan.target)
    elif args.get("batch_id"):
        read_batch(clients, plan.args)
    return plan


def _apply(_context: ActionContext) -> Details:
    return {}  # the intent that the executor has recorded is the note


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """Done when the action log, read again, has the note with this text."""
    notes = list_notes(log_reader.read_by_key(clients, plan.key))
    if not any((note.subject, note.text) == (plan.target, plan.args["text"]) for note in notes):
        return Verification(ActionState.FAILED, "The action log does not have the note.")
    return Verification(ActionState.DONE, "The note is in the action log.")


ADD_NOTE = ActionType(ADD_NOTE_NAME, "Add note", _plan, _apply, _verify, frozenset((ACTIONS,)))
