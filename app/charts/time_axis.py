"""One axis for a whole night: the minutes in which something happened side by side, the quiet hours between them folded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import sqrt

QUIET = timedelta(minutes=20)  # a pause shorter than this is not worth folding
MOST = 5  # busy stretches beside each other; more cannot be labelled on a small screen
FOLD = 0.05  # the share of the axis that a folded pause takes
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Stretch:
    """A busy piece of the night and the part of the axis, 0 to 1, on which it is drawn."""

    start: datetime
    end: datetime
    left: float
    right: float


def fold(instants: Iterable[datetime]) -> tuple[Stretch, ...]:
    """The busy stretches of a night, cut at its longest pauses; without any instant there are none."""
    times = sorted(set(instants))
    if not times:
        return ()
    pauses = sorted(((b - a, b) for a, b in pairwise(times) if b - a > QUIET), reverse=True)
    cuts = sorted(after for _, after in pauses[: MOST - 1])
    edges = [times[0], *cuts]
    ends = [times[bisect_right(times, cut) - 2] for cut in cuts] + [times[-1]]
    return _laid_out([(_down(start), _down(end) + 2 * _MINUTE) for start, end in zip(edges, ends, strict=True)])


def _laid_out(pieces: list[tuple[datetime, datetime]]) -> tuple[Stretch, ...]:
    """A longer stretch gets more room, but not in proportion: three minutes of trouble must stay readable."""
    weights = [sqrt(max(4.0, (end - start) / _MINUTE)) for start, end in pieces]
    room, at, found = 1 - FOLD * (len(pieces) - 1), 0.0, []
    for (start, end), weight in zip(pieces, weights, strict=True):
        right = at + room * weight / sum(weights)
        found.append(Stretch(start, end, at, right))
        at = right + FOLD
    return tuple(found)


def _down(at: datetime) -> datetime:
    """A minute's beginning, with one more for air."""
    return at.replace(second=0, microsecond=0) - _MINUTE


def place(stretches: tuple[Stretch, ...], at: datetime) -> float:
    """Where an instant lies on the axis; within a folded pause, in the fold."""
    last = stretches[0]
    for each in stretches:
        if at < each.start:
            return (last.right + each.left) / 2 if last is not each else each.left
        if at <= each.end:
            return each.left + (each.right - each.left) * ((at - each.start) / (each.end - each.start))
        last = each
    return last.right


def pauses(stretches: tuple[Stretch, ...]) -> list[tuple[float, timedelta]]:
    """The middle of each fold on the axis, and how long nothing happened there."""
    pairs = pairwise(stretches)
    return [((one.right + other.left) / 2, other.start - one.end) for one, other in pairs]
