"""Time axes: places are instants, labels are New York's clocks.

The axis of a whole night is broken: its busy stretches side by side, the hours without events between them collapsed.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil, sqrt

from services.core.clock import ET, eastern_zone, format_eastern

MIN_GAP = timedelta(minutes=20)  # a shorter gap is not collapsed
MAX_SEGMENTS = 5  # more segments cannot be labelled on a small screen
GAP_WIDTH = 0.05  # the share of the axis that a collapsed gap takes
MAX_TICKS = 8
TICK_STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class AxisSegment:
    """A busy stretch of the night and the part of the axis, 0 to 1, on which it is drawn."""

    start: datetime
    end: datetime
    left: float
    right: float


def broken_axis(instants: Iterable[datetime]) -> tuple[AxisSegment, ...]:
    """The busy stretches of a night, cut at its longest gaps; none without an instant."""
    times = sorted(set(instants))
    if not times:
        return ()
    long_gaps = sorted(((b - a, b) for a, b in pairwise(times) if b - a > MIN_GAP), reverse=True)
    cuts = sorted(after for _, after in long_gaps[: MAX_SEGMENTS - 1])
    edges = [times[0], *cuts]
    ends = [times[bisect_right(times, cut) - 2] for cut in cuts] + [times[-1]]
    return _allocate_width(
        [
            (_floor_with_margin(start), _floor_with_margin(end) + 2 * _MINUTE)
            for start, end in zip(edges, ends, strict=True)
        ]
    )


def whole_axis(start: datetime, end: datetime) -> tuple[AxisSegment, ...]:
    """One time from start to end, to scale."""
    return (AxisSegment(start, end, 0.0, 1.0),)


def tick_label(at: datetime, pattern: str = "%H:%M") -> str:
    """14:47; with its zone, 01:30 EDT, around a clock change."""
    return f"{at.astimezone(ET):{pattern}}" if eastern_zone(at) == "ET" else format_eastern(at, pattern)


def round_ticks(start: datetime, end: datetime) -> tuple[datetime, ...]:
    """The round times of New York from `start` to `end`, at most MAX_TICKS up to eight days."""
    minutes = (end - start) / _MINUTE
    step_s = 60 * next((step for step in TICK_STEPS_MIN if minutes / step < MAX_TICKS), TICK_STEPS_MIN[-1])
    offset = start.astimezone(ET).utcoffset() or timedelta()
    first_s = ceil((start + offset).timestamp() / step_s) * step_s
    count = int(((end + offset).timestamp() - first_s) // step_s) + 1
    return tuple(datetime.fromtimestamp(first_s + index * step_s, UTC) - offset for index in range(count))


def _allocate_width(pieces: list[tuple[datetime, datetime]]) -> tuple[AxisSegment, ...]:
    """A longer stretch gets more room, but less than in proportion: a burst of three minutes must stay readable."""
    weights = [sqrt(max(4.0, (end - start) / _MINUTE)) for start, end in pieces]
    usable_width, left, segments = 1 - GAP_WIDTH * (len(pieces) - 1), 0.0, []
    for (start, end), weight in zip(pieces, weights, strict=True):
        right = left + usable_width * weight / sum(weights)
        segments.append(AxisSegment(start, end, left, right))
        left = right + GAP_WIDTH
    return tuple(segments)


def _floor_with_margin(at: datetime) -> datetime:
    """One minute before the start of the instant's minute, as a margin."""
    return at.replace(second=0, microsecond=0) - _MINUTE


def position(segments: tuple[AxisSegment, ...], at: datetime) -> float:
    """Where an instant lies on the axis; one inside a gap lies in the collapsed gap."""
    previous = segments[0]
    for segment in segments:
        if at < segment.start:
            return (previous.right + segment.left) / 2 if previous is not segment else segment.left
        if at <= segment.end:
            return segment.left + (segment.right - segment.left) * (
                (at - segment.start) / (segment.end - segment.start)
            )
        previous = segment
    return previous.right


def gaps(segments: tuple[AxisSegment, ...]) -> list[tuple[float, timedelta]]:
    """The middle of each collapsed gap on the axis, and its duration."""
    pairs = pairwise(segments)
    return [((earlier.right + later.left) / 2, later.start - earlier.end) for earlier, later in pairs]
