"""Words of judgement: coverage, writes, staging tables, widths and the verdict, each unknown where nothing is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.batches.ids import parse_staging_table_name
from services.core.result import Health, Problem, Result, worst
from services.core.settings import Settings
from services.nights.coverage import funnel
from services.nights.player_stages import Stage
from services.policy.coverage_thresholds import classify_coverage
from services.policy.dml_limits import EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY
from services.reports import overview
from services.scaling.service_widths import CapacityState, classify_capacity, classify_health, normal_capacity
from services.staging.inventory import StagingTableState, classify
from services.telemetry.dml_jobs import build_report, first_burst, peak_outstanding
from tests.factories import NIGHT, NOW, make_attempt, make_night, make_player, make_write_error, player_without_rows

SETTINGS = Settings.from_env({})
UNAVAILABLE = Result(None, Problem("x", NOW, "x did not answer."))


@pytest.mark.parametrize(
    ("active", "eligible", "games", "word"),
    [
        (158, 158, 11, Health.OK),
        (151, 158, 11, Health.OK),
        (150, 158, 11, Health.WARNING),
        (134, 158, 11, Health.CRITICAL),
        (68, 158, 11, Health.CRITICAL),
        (0, 158, 11, Health.CRITICAL),
        (0, 0, 0, Health.NONE_EXPECTED),
        (0, 0, 5, Health.UNKNOWN),
        (None, 158, 11, Health.UNKNOWN),
    ],
)
def test_coverage_is_classified_at_95_and_85_pct_and_never_ok_without_a_denominator(active, eligible, games, word):
    assert classify_coverage(active, eligible, games, SETTINGS) is word


def test_the_funnel_is_unknown_for_a_stage_whose_source_failed():
    counts = funnel(make_night(make_player(generated_rows=None), make_player()), SETTINGS).players
    assert counts[Stage.GENERATED] is None
    assert counts[Stage.ACTIVE] == 2


def test_the_staged_stage_is_unknown_for_a_night_with_direct_writes():
    assert funnel(make_night(make_player(), make_player()), SETTINGS).players[Stage.STAGED] is None


def test_the_alert_rule_fires_at_the_fifth_rejection_within_a_minute():
    times = [NOW + timedelta(seconds=s) for s in (0, 70, 71, 72, 73, 74)]
    assert first_burst(times, 5, timedelta(seconds=60)) == times[5]
    assert first_burst(times[:5], 5, timedelta(seconds=60)) is None


def test_rejected_statements_are_never_outstanding():
    start = NOW
    running = [
        make_attempt(at=start, ended=start + timedelta(seconds=5)),
        make_attempt(at=start + timedelta(seconds=1), ended=start + timedelta(seconds=6)),
    ]
    assert peak_outstanding([*running, make_attempt(at=start + timedelta(seconds=2), ok=False)]) == 2


def test_writes_are_unknown_when_neither_history_nor_log_can_be_read():
    write_report = build_report(NOW, NOW, None, None, SETTINGS)
    assert (write_report.attempted, write_report.rejected, write_report.rejected_in_logs, write_report.health) == (
        None,
        None,
        None,
        Health.UNKNOWN,
    )


def test_no_rejection_in_the_log_alone_is_not_ok():
    assert build_report(NOW, NOW, None, (), SETTINGS).health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("unmerged", "old", "runs", "what"),
    [
        (0, True, False, StagingTableState.MERGED),
        (3, True, False, StagingTableState.ORPHAN),
        (3, False, False, StagingTableState.WAITING),
        (None, True, False, StagingTableState.UNKNOWN),
        (0, False, True, StagingTableState.RUNNING),
    ],
)
def test_a_staging_table_is_merged_only_with_proof(unmerged, old, runs, what):
    assert classify(unmerged, old, runs) is what


def test_batch_worker_and_date_are_parsed_from_a_staging_table_name():
    parsed = parse_staging_table_name("_staging_batch_2026_01_16_1768529790_prediction_worker_00035_4xk_0a49f283")
    assert parsed[:2] == ("batch_2026-01-16_1768529790", "prediction_worker_00035_4xk_0a49f283")
    assert parse_staging_table_name("_staging_fallback_1768529790_abc")[2] is None


def test_capacities_are_emergency_normal_or_drifted():
    assert classify_capacity(EMERGENCY_CAPACITY, NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.EMERGENCY
    assert classify_capacity((20, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.NORMAL
    assert classify_capacity((7, 5), NORMAL_WORKER_CAPACITY, is_worker=True) is CapacityState.DRIFTED
    assert classify_health((None, 5), CapacityState.DRIFTED, is_worker=True) is Health.CRITICAL
    assert normal_capacity(
        {"on-call/normal-max-instances": "10", "on-call/normal-concurrency": "5"}, is_worker=True
    ) == (10, 5)


def test_the_worst_health_wins_and_none_is_unknown():
    assert worst([Health.OK, Health.UNKNOWN, Health.WARNING]) is Health.UNKNOWN
    assert worst([]) is Health.UNKNOWN


def make_overview(night_result, **readings):
    others = {name: readings.get(name, UNAVAILABLE) for name in ("dml", "staging", "widths", "batches")}
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
    assert {signal.health for signal in result.health_badges} == {Health.UNKNOWN}


def test_a_day_without_games_expects_nothing():
    assert make_overview(Result(make_night(games=0, was_run=False))).health is Health.NONE_EXPECTED


def test_full_coverage_with_an_unexplained_player_is_not_ok():
    active_players = [make_player() for _ in range(39)]
    result = make_overview(Result(make_night(*active_players, player_without_rows())))
    assert result.health is Health.UNKNOWN
    assert "unexplained" in result.message
