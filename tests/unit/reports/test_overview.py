"""The verdict of a night: in words, and never OK while something is unread."""

from __future__ import annotations

from typing import Any

from services.core.result import Health, Problem, Result
from services.reports import overview
from services.telemetry.dml_jobs import build_report
from tests.support.factories import (
    NIGHT,
    NOW,
    make_attempt,
    make_job_history,
    make_log_lines,
    make_night,
    make_player,
    make_write_error,
    player_without_rows,
)
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


def test_writes_of_which_a_part_was_read_are_unknown_and_never_ok():
    problem = Problem("BigQuery job history", NOW, "The newest 20,000 jobs were read.")
    report = build_report(NOW, NOW, make_job_history(problem=problem), make_log_lines(), SETTINGS, problems=(problem,))
    [dml] = [s for s in make_overview(UNAVAILABLE, dml=Result(report)).signals if "job history" in s.text]
    assert (dml.health, dml.text) == (Health.UNKNOWN, "unknown: the job history could not be read in full")
    rejected = make_attempt(ok=False, message="Too many DML statements outstanding")
    report = build_report(NOW, NOW, make_job_history(rejected, problem=problem), make_log_lines(), SETTINGS)
    [dml] = [s for s in make_overview(UNAVAILABLE, dml=Result(report)).signals if "at least" in s.text]
    assert (dml.health, dml.text.partition(";")[0]) == (Health.WARNING, "at least 1 writes rejected")
