"""When a run would be done, against the first tip-off of its game date. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from services.batches.reader import Batch
from services.batches.state import BatchState
from services.core.clock import ET, eastern_day, format_eastern

MIN_DURATION = timedelta(seconds=30)  # however few players: the MERGE and its proof are the same
_COMPLETED_STATES = (BatchState.CONSOLIDATED, BatchState.UNVERIFIED_SUCCESS)
_MINUTE = timedelta(minutes=1)


def estimate_duration(batches: Iterable[Batch], players: int) -> timedelta | None:
    """How long a run of so many players takes at the rate of the newest batch that ended; None when there is none."""
    for batch in batches:
        if batch.state in _COMPLETED_STATES and batch.requested and batch.started and batch.ended:
            return max(MIN_DURATION, (batch.ended - batch.started) * (players / batch.requested))
    return None


def describe_finish(now: datetime, duration: timedelta | None, tip_offs: Sequence[datetime], games: int) -> str:
    """ "about 2 min, done 18:52 ET, 38 min before first tip-off"; `tip_offs` may be those of a part of the `games` only."""
    if duration is None:
        return "duration unknown"
    done = now.astimezone(UTC) + duration
    day = "" if eastern_day(done) == eastern_day(now) else f"{done.astimezone(ET):%a %-d %b} "
    text = f"about {_format_minutes(ceil(duration / _MINUTE))}, done {day}{format_eastern(done)}"
    if not tip_offs:
        return f"{text}, first tip-off unknown"
    first = min(tip_offs)
    event = "first tip-off" if len(tip_offs) >= games else "first known tip-off"
    # In UTC: between two times of one zone Python subtracts what the clocks show.
    minutes = (first.astimezone(UTC) - done) // _MINUTE
    return f"{text}, {_format_minutes(abs(minutes))} {'before' if minutes >= 0 else 'after'} {event}"


def _format_minutes(minutes: int) -> str:
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
