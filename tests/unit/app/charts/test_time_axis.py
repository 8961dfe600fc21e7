"""The time axis: order, collapsed gaps, and no axis without events."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.charts.time_axis import broken_axis, gaps, position
from tests.unit.reports.test_events import AT

INSTANTS = st.lists(st.integers(0, 86_400), min_size=1, max_size=40).map(
    lambda seconds: [AT + timedelta(seconds=s) for s in seconds]
)


def test_hours_without_events_are_collapsed_and_their_length_is_shown():
    after_gap = AT + timedelta(hours=5)
    segments = broken_axis([AT, AT + timedelta(minutes=3), after_gap])
    assert len(segments) == 2
    ((middle, length),) = gaps(segments)
    assert position(segments, AT) < middle < position(segments, after_gap)
    assert timedelta(hours=4, minutes=50) < length < timedelta(hours=5)
    assert position(segments, AT + timedelta(minutes=3)) - position(segments, AT) > 0.15, "three minutes stay readable"


def test_no_instants_give_no_axis():
    assert broken_axis([]) == ()


@given(INSTANTS)
def test_the_axis_preserves_order_and_contains_every_instant(instants):
    segments = broken_axis(instants)
    positions = [position(segments, instant) for instant in sorted(instants)]
    assert positions == sorted(positions)
    assert all(0 <= x <= 1 for x in positions)
    assert len(segments) <= 5
    assert all(any(segment.start <= instant <= segment.end for segment in segments) for instant in instants)
