"""When odds and context were last refreshed before a night's run deadline, and on which nights they were older than usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypedDict, cast

from services.core.clock import ET
from services.gcp import query_catalog
from services.gcp.clients import Clients

LOOKBACK_DAYS = 14
MIN_USUAL_NIGHTS = 3  # fewer show nothing usual
SOURCES = ("odds", "context")


class _SourceTimeRow(TypedDict):
    """queries/alerts/source_times.sql."""

    game_date: date
    deadline: datetime | None
    source: str
    newest: datetime | None
    newest_at_deadline: datetime | None


@dataclass(frozen=True)
class SourceTime:
    """The newest row of one source for one game date, at all and of those by the run deadline."""

    game_date: date
    source: str
    deadline: datetime
    newest: datetime | None
    newest_at_deadline: datetime | None


@dataclass(frozen=True)
class StaleSource:
    """A source that was refreshed `behind` later than usual to be in time; `newest` None: not at all for this date."""

    source: str
    deadline: datetime
    newest: datetime | None
    behind: timedelta


def read_source_times(clients: Clients, game_date: date) -> tuple[SourceTime, ...]:
    """The sources of a date and of the LOOKBACK_DAYS before it; none of a date without odds. Raises OnCallError."""
    rows = query_catalog.run_query(
        clients,
        "alerts.source_times",
        first_date=game_date - timedelta(days=LOOKBACK_DAYS),
        last_date=game_date,
        deadline_min=clients.settings.run_deadline_before_tipoff_min,
    ).rows
    return tuple(
        SourceTime(row["game_date"], row["source"], row["deadline"], row["newest"], row["newest_at_deadline"])
        for row in cast("tuple[_SourceTimeRow, ...]", rows)
        if row["deadline"] is not None
    )


def find_stale_sources(times: tuple[SourceTime, ...], game_date: date) -> tuple[StaleSource, ...]:
    """By how much each source of a date is older than on every usual night. Pure.

    Some jobs run at a time of day and others at a time before the games: a source is late only if it is late by both.
    """
    deadline = next((t.deadline for t in times if t.game_date == game_date), None)
    if deadline is None:
        return ()
    stale = (_compare(source, game_date, deadline, [t for t in times if t.source == source]) for source in SOURCES)
    return tuple(found for found in stale if found is not None)


def _compare(source: str, game_date: date, deadline: datetime, times: list[SourceTime]) -> StaleSource | None:
    usual = [
        (t.deadline - t.newest_at_deadline, _time_on_date(t.newest_at_deadline, t.game_date))
        for t in times
        if t.game_date != game_date and t.newest_at_deadline is not None
    ]
    if len(usual) < MIN_USUAL_NIGHTS:
        return None
    newest = next((t.newest for t in times if t.game_date == game_date), None)
    if newest is None:
        return StaleSource(source, deadline, None, timedelta.max)
    older = deadline - newest - max(age for age, _ in usual)
    earlier = min(at for _, at in usual) - _time_on_date(newest, game_date)
    return StaleSource(source, deadline, newest, min(older, earlier))


def _time_on_date(at: datetime, game_date: date) -> timedelta:
    """The wall-clock time in US Eastern since the game date's midnight; negative on the day before."""
    return at.astimezone(ET).replace(tzinfo=None) - datetime.combine(game_date, time())
