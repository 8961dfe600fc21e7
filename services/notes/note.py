"""Notes of the shift, as the action log has them: what somebody wrote about a night, a batch, a player or an alert."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from services.actions.log_reader import Action, ActionState, recent_window
from services.actions.plan import PlanNotReadable
from services.batches.ids import read_batch_date

ADD_NOTE_NAME = "notes.add"
_NOT_ADDED = (ActionState.REFUSED, ActionState.DENIED, ActionState.FAILED)
_DATE_AT_END = re.compile(r"-(\d{4}-\d\d-\d\d)$")  # of the id of an alert that is about one night


class About(StrEnum):
    """What a note is about: the arguments of its action that name it, the more special one first."""

    ALERT = "alert_id"
    BATCH = "batch_id"
    PLAYER = "player"
    NIGHT = "game_date"

    @property
    def word(self) -> str:
        """In words: alert, batch, player or night."""
        return self.name.lower()


@dataclass(frozen=True)
class Note:
    """One note. `subject` is the alert's, batch's or player's id, or the night; `game_date` None: of no single night."""

    at: datetime
    by: str
    text: str
    about: About
    subject: str
    game_date: date | None
    action_id: str

    @property
    def label(self) -> str:
        """What it is about, in words: "night 2025-12-29", "player lukadoncic"."""
        return f"{self.about.word} {self.subject}"


def find_subject(args: Mapping[str, Any]) -> tuple[About, str, date | None] | None:
    """What the arguments of a note name, its id and its night; None where they name nothing."""
    about = next((about for about in About if args.get(about.value)), None)
    if about is None:
        return None
    subject = str(args[about.value])
    if about is About.BATCH:
        return about, subject, read_batch_date(subject)
    dated = _DATE_AT_END.search(subject) if about is About.ALERT else None
    return about, subject, _parse_date(dated[1] if dated else str(args.get(About.NIGHT.value) or ""))


def _parse_date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def list_notes(actions: Iterable[Action]) -> tuple[Note, ...]:
    """The notes among recorded actions, the newest first. Pure."""
    return tuple(sorted(_notes(actions), key=lambda note: note.at, reverse=True))


def _notes(actions: Iterable[Action]) -> Iterator[Note]:
    for action in actions:
        if action.action_name != ADD_NOTE_NAME or action.state in _NOT_ADDED:
            continue
        try:
            args = action.plan.args
        except PlanNotReadable:
            continue  # the action log shows it, with what is wrong with its record
        if (found := find_subject(args)) is not None:
            about, subject, game_date = found
            text = str(args.get("text", ""))
            yield Note(action.started_at, action.actor, text, about, subject, game_date, action.action_id)


def notes_of_night(notes: Iterable[Note], game_date: date) -> tuple[Note, ...]:
    """Those about a night, its batches, players and alerts."""
    return tuple(note for note in notes if note.game_date == game_date)


def notes_window(game_date: date, now: datetime) -> tuple[datetime, datetime]:
    """When notes about a night may have been written: whole days, and for a recent night those of the recent actions."""
    before_night = datetime(game_date.year, game_date.month, game_date.day, tzinfo=UTC) - timedelta(days=2)
    start, end = recent_window(now)
    return min(before_night, start), end
