"""The verdict of a night: in words, and never OK while something is unread."""

from __future__ import annotations

from typing import Any

from services.core.result import Health, Problem, Result
from services.reports import overview
from tests.support.factories import NIGHT, NOW, make_night, make_player, make_write_error, player_without_rows
from tests.unit.policy.test_coverage_thresholds import SETTINGS

UNAVAILABLE: Result[Any] = Result(None, Problem("x", NOW, "x did not answer."))


def make_overview(night_result, **readings):
    others = {name: readings.get(name, UNAVAILABLE) for name in ("dml", "staging", "capacities", "batches")}
    return overview.build_overview(NIGHT, night_result, settings=SETTINGS, **others)


def test_the_overview_says_what_is_missing_where_and_since_when():
    night_status = make_night(
        make_player(),
        player_without_rows(write_error=make_write_error()),
        player_without_rows(write_error=make_write_error()),
    )
    assert make_overview(Result(night_status)).message == (
        "2 of 3 players are missing: generated, but BigQuery rejected the write, since 14:47 ET (19:47 UTC)"
    )


def test_an_unreadable_night_is_unknown():
    result = make_overview(UNAVAILABLE)
    assert result.health is Health.UNKNOWN
    assert {signal.health for signal in result.signals} == {Health.UNKNOWN}


def test_a_day_without_games_expects_nothing():
    assert make_overview(Result(make_night(games=0, was_run=False))).health is Health.NONE_EXPECTED


def test_full_coverage_with_an_unexplained_player_is_not_ok():
    active_players = [make_player() for _ in range(39)]
    result = make_overview(Result(make_night(*active_players, player_without_rows())))
    assert result.health is Health.UNKNOWN
    assert "unexplained" in result.message
