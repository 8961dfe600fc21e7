"""Words of judgement: coverage, writes, staging tables, widths and the verdict, each unknown where nothing is known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.batches.ids import parse_name
from services.core.result import Health, Problem, Reading, worst
from services.core.settings import Settings
from services.nights.coverage import funnel
from services.nights.player_stages import Stage
from services.policy.coverage_thresholds import judge
from services.policy.dml_limits import EMERGENCY, NORMAL_WORKER
from services.reports import overview
from services.scaling.service_widths import Width, judge_health, judge_width, normal
from services.staging.inventory import TableClass, classify
from services.telemetry.dml_jobs import first_alert, peak_outstanding, report
from tests.factories import NIGHT, NOW, attempt, lost, night, player, write_error

SETTINGS = Settings.from_env({})
BLIND = Reading(None, Problem("x", NOW, "x did not answer."))


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
def test_coverage_is_judged_by_95_and_85_and_never_green_without_a_denominator(active, eligible, games, word):
    assert judge(active, eligible, games, SETTINGS) is word


def test_the_funnel_says_unknown_for_a_stage_whose_source_failed():
    counts = funnel(night(player(generated_rows=None), player()), SETTINGS).players
    assert counts[Stage.GENERATED] is None
    assert counts[Stage.ACTIVE] == 2


def test_staged_is_not_claimed_for_a_night_that_wrote_directly():
    assert funnel(night(player(), player()), SETTINGS).players[Stage.STAGED] is None


def test_the_alert_rule_fires_at_the_fifth_rejection_within_a_minute():
    times = [NOW + timedelta(seconds=s) for s in (0, 70, 71, 72, 73, 74)]
    assert first_alert(times, 5, timedelta(seconds=60)) == times[5]
    assert first_alert(times[:5], 5, timedelta(seconds=60)) is None


def test_refused_statements_were_never_outstanding():
    at = NOW
    running = [
        attempt(at=at, ended=at + timedelta(seconds=5)),
        attempt(at=at + timedelta(seconds=1), ended=at + timedelta(seconds=6)),
    ]
    assert peak_outstanding([*running, attempt(at=at + timedelta(seconds=2), ok=False)]) == 2


def test_writes_are_unknown_when_neither_history_nor_log_can_be_read():
    told = report(NOW, NOW, None, None, SETTINGS)
    assert (told.attempted, told.rejected, told.rejected_in_logs, told.health) == (None, None, None, Health.UNKNOWN)


def test_no_rejection_in_the_log_alone_is_not_green():
    assert report(NOW, NOW, None, (), SETTINGS).health is Health.UNKNOWN


@pytest.mark.parametrize(
    ("unmerged", "old", "runs", "what"),
    [
        (0, True, False, TableClass.MERGED),
        (3, True, False, TableClass.ORPHAN),
        (3, False, False, TableClass.WAITING),
        (None, True, False, TableClass.UNKNOWN),
        (0, False, True, TableClass.RUNNING),
    ],
)
def test_a_staging_table_is_called_merged_only_on_proof(unmerged, old, runs, what):
    assert classify(unmerged, old, runs) is what


def test_batch_worker_and_date_are_read_from_a_staging_tables_name():
    told = parse_name("_staging_batch_2026_01_16_1768529790_prediction_worker_00035_4xk_0a49f283")
    assert told[:2] == ("batch_2026-01-16_1768529790", "prediction_worker_00035_4xk_0a49f283")
    assert parse_name("_staging_fallback_1768529790_abc")[2] is None


def test_widths_are_emergency_normal_or_drifted():
    assert judge_width(EMERGENCY, NORMAL_WORKER, worker=True) is Width.EMERGENCY
    assert judge_width((20, 5), NORMAL_WORKER, worker=True) is Width.NORMAL
    assert judge_width((7, 5), NORMAL_WORKER, worker=True) is Width.DRIFTED
    assert judge_health((None, 5), Width.DRIFTED, worker=True) is Health.CRITICAL
    assert normal({"on-call/normal-max-instances": "10", "on-call/normal-concurrency": "5"}, worker=True) == (10, 5)


def test_the_worst_word_wins_and_nothing_judged_is_unknown():
    assert worst([Health.OK, Health.UNKNOWN, Health.WARNING]) is Health.UNKNOWN
    assert worst([]) is Health.UNKNOWN


def verdict(told, **readings):
    others = {name: readings.get(name, BLIND) for name in ("dml", "staging", "widths", "batches")}
    return overview.judge(NIGHT, told, settings=SETTINGS, **others)


def test_the_verdict_says_what_is_missing_how_much_of_what_where_and_since_when():
    facts = night(player(), lost(write_error=write_error()), lost(write_error=write_error()))
    assert verdict(Reading(facts)).sentence == (
        "2 of 3 players are missing: generated, but BigQuery rejected the write, since 14:47 ET (19:47 UTC)"
    )


def test_a_night_that_cannot_be_read_is_unknown_and_says_so():
    told = verdict(BLIND)
    assert told.health is Health.UNKNOWN
    assert {signal.health for signal in told.signals} == {Health.UNKNOWN}


def test_a_day_without_games_is_calm():
    assert verdict(Reading(night(games=0, ran=False))).health is Health.NONE_EXPECTED


def test_full_coverage_with_an_unexplained_player_cannot_be_green():
    twenty = [player() for _ in range(39)]
    told = verdict(Reading(night(*twenty, lost())))
    assert told.health is Health.UNKNOWN
    assert "unexplained" in told.sentence
