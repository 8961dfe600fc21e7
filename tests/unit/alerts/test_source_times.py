"""Stale sources: older than on every usual night, by the time before the deadline and by the time of day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.alerts.source_times import MIN_USUAL_NIGHTS, StaleSource, find_stale_sources
from tests.support.alert_factories import NIGHT, make_source_times

DEADLINE = datetime(2025, 12, 29, 22, 30, tzinfo=UTC)


def behind(times) -> dict[str, timedelta]:
    return {stale.source: stale.behind for stale in find_stale_sources(times, NIGHT)}


def test_a_source_as_on_other_nights_is_not_behind():
    assert behind(make_source_times(DEADLINE)) == {"odds": timedelta(), "context": timedelta()}


def test_a_source_is_behind_by_what_it_is_older_than_on_the_worst_usual_night():
    times = make_source_times(DEADLINE, odds_before_h=5.5)
    assert behind(times)["odds"] == timedelta(hours=4)
    assert find_stale_sources(times, NIGHT)[0] == StaleSource(
        "odds", DEADLINE, DEADLINE - timedelta(hours=5.5), timedelta(hours=4)
    )


def test_a_refresh_after_the_deadline_ends_it():
    late = make_source_times(DEADLINE, odds_before_h=-0.5)
    assert behind(late)["odds"] < timedelta()


@pytest.mark.parametrize("deadline_shift_h", [-5, 5])
def test_a_daily_job_is_not_late_because_the_games_are_and_a_job_before_the_games_not_because_they_are_early(
    deadline_shift_h,
):
    """The context of a daily job is 5 h older before late games; odds 1.5 h before early games are 5 h earlier in the day."""
    shift = timedelta(hours=deadline_shift_h)
    times = [
        replace(
            t,
            deadline=t.deadline + shift,
            newest=t.newest + shift if t.newest and t.source == "odds" else t.newest,
        )
        if t.game_date == NIGHT
        else t
        for t in make_source_times(DEADLINE)
    ]
    assert all(value <= timedelta() for value in behind(tuple(times)).values())


def test_too_few_nights_show_nothing_usual():
    times = make_source_times(DEADLINE, odds_before_h=9, nights=MIN_USUAL_NIGHTS)
    assert behind(times)["odds"] == timedelta(hours=7.5)
    few = make_source_times(DEADLINE, odds_before_h=9, nights=MIN_USUAL_NIGHTS - 1)
    assert find_stale_sources(few, NIGHT) == ()


def test_nights_whose_rows_came_after_the_deadline_are_not_usual():
    times = tuple(
        replace(t, newest_at_deadline=None) if t.game_date != NIGHT else t
        for t in make_source_times(DEADLINE, odds_before_h=9)
    )
    assert find_stale_sources(times, NIGHT) == ()


def test_a_source_without_a_row_of_the_date_is_behind_without_limit():
    times = tuple(t for t in make_source_times(DEADLINE) if (t.game_date, t.source) != (NIGHT, "context"))
    assert StaleSource("context", DEADLINE, None, timedelta.max) in find_stale_sources(times, NIGHT)


def test_a_date_without_odds_has_no_deadline_and_nothing_stale():
    times = tuple(t for t in make_source_times(DEADLINE) if t.game_date != NIGHT)
    assert find_stale_sources(times, NIGHT) == ()
