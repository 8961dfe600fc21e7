"""The current time (the machine's, or the sandbox's), instants as text, and game dates, which are US Eastern days."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any, Protocol
from zoneinfo import ZoneInfo

ET = ZoneInfo("America/New_York")

# Before this hour (ET), "tonight" still means yesterday's game date.
NIGHT_ENDS_HOUR_ET = 6


class Clock(Protocol):
    """Gives the current time, timezone-aware, in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True)
class OffsetClock:
    """A clock set to `start` at the monotonic instant `monotonic_start` and running at real speed since."""

    start: datetime
    monotonic_start: float

    @classmethod
    def starting_at(cls, start: datetime) -> OffsetClock:
        return cls(start.astimezone(UTC), time.monotonic())

    def now(self) -> datetime:
        return self.start + timedelta(seconds=time.monotonic() - self.monotonic_start)


def eastern_day(at: datetime) -> date:
    """The ET calendar day of an instant."""
    return at.astimezone(ET).date()


def eastern_zone(at: datetime) -> str:
    """ET; within a day of a clock change EDT or EST, because the hour from 01:00 comes twice on the night in November."""
    eastern, day = at.astimezone(ET), timedelta(days=1)
    before, after = ((at.astimezone(UTC) + step).astimezone(ET).utcoffset() for step in (-day, day))
    return "ET" if before == after else str(eastern.tzname())


def list_days(first: date, last: date) -> list[date]:
    """Every day from one to another, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def format_day(day: date) -> str:
    """A date in words: Mon 29 Dec 2025."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def format_short_day(day: date) -> str:
    """A date of the season: 29 Dec."""
    return f"{day.day} {day:%b}"


def format_eastern(at: datetime, pattern: str = "%H:%M") -> str:
    """An instant on New York's clocks, with its zone: 14:47 ET, or 01:30 EDT on the night of a clock change."""
    return f"{at.astimezone(ET):{pattern}} {eastern_zone(at)}"


def to_game_date(at: datetime) -> date:
    """The game date the person on call means at this instant: until 06:00 ET, the day before."""
    return (at.astimezone(ET) - timedelta(hours=NIGHT_ENDS_HOUR_ET)).date()


def night_window(game_date: date) -> tuple[datetime, datetime]:
    """The instants that belong to a night: from 06:00 ET on its date to 06:00 ET on the next."""
    start = datetime.combine(game_date, time_of_day(NIGHT_ENDS_HOUR_ET), tzinfo=ET)
    end = datetime.combine(game_date + timedelta(days=1), time_of_day(NIGHT_ENDS_HOUR_ET), tzinfo=ET)
    return start.astimezone(UTC), end.astimezone(UTC)


def to_rfc3339(at: datetime) -> str:
    """An instant as Google's APIs write it: UTC, microseconds, Z. `datetime.fromisoformat` reads it back."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def worker_run_days(game_date: date) -> dict[str, Any]:
    """Query parameters: when a date's workers may have run, from a day before its night to a week after."""
    start, end = night_window(game_date)
    return {"from_time": start - timedelta(days=1), "to_time": end + timedelta(days=7)}
