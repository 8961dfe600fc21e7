"""The time axis: order, collapsed gaps, no axis without events, and labels that name one instant each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.time_axis import MAX_TICKS, broken_axis, gaps, position, round_ticks, tick_label
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


CLOCKS_CHANGE = (datetime(2025, 11, 2, 6, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC))
SPAN = st.tuples(st.integers(-600, 600), st.integers(1, 1_200)).map(
    lambda minutes: (timedelta(minutes=minutes[0]), timedelta(minutes=minutes[1]))
)


@pytest.mark.parametrize("change", CLOCKS_CHANGE)
@given(SPAN)
def test_ticks_are_few_in_order_and_each_has_a_label_of_its_own_when_the_clocks_change(change, span):
    start, end = change + span[0], change + span[0] + span[1]
    ticks = round_ticks(start, end)
    assert all(start <= tick <= end for tick in ticks)
    assert len(ticks) <= MAX_TICKS
    assert list(ticks) == sorted(set(ticks))
    assert len({tick_label(tick, "%-d %b %H:%M") for tick in ticks}) == len(ticks)


def test_ticks_are_round_on_new_yorks_clocks():
    start = datetime(2025, 12, 29, 19, 44, tzinfo=UTC)
    assert [tick_label(at) for at in round_ticks(start, start + timedelta(minutes=11))] == [
        "14:44", "14:46", "14:48", "14:50", "14:52", "14:54",
    ]  # fmt: skip
    assert [tick_label(at) for at in round_ticks(start, start + timedelta(hours=14))] == [
        "16:00", "18:00", "20:00", "22:00", "00:00", "02:00", "04:00",
    ]  # fmt: skip


def test_a_long_time_has_a_tick_a_day_at_most():
    start = datetime(2025, 12, 1, tzinfo=UTC)
    assert len(round_ticks(start, start + timedelta(days=7, hours=5))) == MAX_TICKS
