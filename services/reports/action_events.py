"""What the action log has as events: actions, and notes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from textwrap import shorten

from services.actions.log_reader import ActionLog, ActionState
from services.core.result import Health
from services.notes.note import ADD_NOTE_NAME, list_notes
from services.reports.event import ACTIONS, SCALED, Event

MAX_LABEL = 40  # characters of a note beside its mark; the mark has it whole
HEALTH_BY_ACTION_STATE = {
    ActionState.IN_PROGRESS: Health.NONE_EXPECTED,
    ActionState.DONE: Health.OK,
    ActionState.FAILED: Health.CRITICAL,
    ActionState.REFUSED: Health.WARNING,
    ActionState.DENIED: Health.WARNING,
    ActionState.UNVERIFIED: Health.UNKNOWN,
}


def action_events(action_log: ActionLog | None, now: datetime, game_date: date | None = None) -> Iterator[Event]:
    """Actions, and notes: on the timeline of a night only those that are about it, or about no single night."""
    actions = action_log.actions if action_log else ()
    for note in list_notes(actions):
        is_of_night = game_date is None or note.game_date in (None, game_date)
        text = " ".join(note.text.split())
        yield Event(
            at=note.at,
            actor=note.by,
            lane=ACTIONS if is_of_night else "",
            label=f"note · {shorten(text, MAX_LABEL, placeholder='…')}",
            message=f"Note by {note.by}, {note.label}: {text}",
            kind="note",
            page="action_log",
            params={"action": note.action_id},
            summary=f"Note, {note.label}: {text}",
        )
    for action in actions:
        if action.action_name.startswith(("alerts.", ADD_NOTE_NAME)):
            continue  # it is among the alert's own events, or above
        is_scaling = action.action_name.startswith("scaling.")
        outcome_text = action.message if action.ended_at else "no result recorded yet"
        list_outcome_text = action.message if action.ended_at else "no result recorded"
        yield Event(
            at=action.started_at,
            actor=action.actor,
            lane=SCALED if is_scaling else ACTIONS,
            label=f"{action.title} · {action.state}",
            message=f"{action.title}, by {action.actor}: {action.state}. {outcome_text}",
            health=Health.UNKNOWN if action.is_abandoned(now) else HEALTH_BY_ACTION_STATE[action.state],
            kind="config change" if is_scaling else "action",
            page="action_log",
            params={"action": action.action_id},
            summary=f"{action.title}: {action.state}. {list_outcome_text}",
        )
