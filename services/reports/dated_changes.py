"""What was changed around each night: deploys, config changes and actions by date, for the coverage of many dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.actions.log_reader import ActionLog
from services.core.clock import format_short_day, night_window, to_game_date
from services.core.result import Result
from services.reports.event import Event
from services.reports.events import problem_message, recent_events
from services.scaling.deploys import DeployHistory


@dataclass(frozen=True)
class DatedChanges:
    """Deploys, config changes and actions by the date whose night they happened in, oldest first; `gaps` are what is not known."""

    by_date: Mapping[date, tuple[Event, ...]]
    gaps: tuple[str, ...]


def changes_by_date(
    first: date, now: datetime, deploys: Result[DeployHistory], action_log: Result[ActionLog], log_start: datetime
) -> DatedChanges:
    """What was changed from a date on, until now; the action log was read from `log_start` on."""
    start, dated = night_window(first)[0], defaultdict[date, list[Event]](list)
    for event in reversed(recent_events(None, action_log.value, None, deploys.value, start, now)):
        if event.kind != "note":  # it changes nothing
            dated[to_game_date(event.at)].append(event)
    gaps = (
        _gap("deploys", problem_message(deploys), deploys.value.complete_since if deploys.value else None, start),
        _gap("actions", problem_message(action_log), log_start, start),
    )
    return DatedChanges({day: tuple(events) for day, events in dated.items()}, tuple(filter(None, gaps)))


def _gap(name: str, problem: str | None, known_from: datetime | None, start: datetime) -> str:
    """What of the changes is not known; "" where all are."""
    if problem is not None:
        return f"{name} unknown: {problem}"
    if known_from is None or known_from <= start:
        return ""
    first = to_game_date(known_from - timedelta(seconds=1)) + timedelta(
        days=1
    )  # the first date that is known as a whole
    return f"{name} before {format_short_day(first)} not read"
