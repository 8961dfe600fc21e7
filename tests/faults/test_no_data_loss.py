"""Whichever process dies, repeats or meets another between two calls, no row is lost, doubled, revived or of an older version."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.faults import boundaries, harness, interleavings, old_way, watchdogs
from tests.faults.judge import Verdict
from tests.faults.seeds import Kind
from tests.faults.world import open_world

RUNS, SCHEDULES, OLD_NIGHTS, WATCHED_RUNS = range(20), range(25), range(50), range(8)


@pytest.mark.parametrize("kind", Kind)
def test_a_run_without_faults_leaves_every_kind_of_row_right(kind):
    with open_world({kind}) as world:
        outcome = harness.outcome_of(world, harness.drive(world, random.Random(0)))
    assert (outcome.verdict, outcome.false_records) == (Verdict(), 0)


@pytest.fixture(scope="module")
def outcomes() -> list[harness.Outcome]:
    return [harness.run_batch(seed) for seed in RUNS]


def test_no_row_is_lost_doubled_revived_or_of_an_older_version_whatever_fails(outcomes):
    assert sum((outcome.verdict for outcome in outcomes), Verdict()) == Verdict()


def test_a_player_whose_worker_died_after_it_had_staged_is_not_lost():
    """No worker ever acknowledged the rows; the coordinator has found them in their table."""
    outcome = harness.run_batch(656)
    assert outcome.faults["killed"] > 0
    assert outcome.is_clean


def test_every_run_ends_with_records_that_are_true(outcomes):
    assert sum(outcome.false_records for outcome in outcomes) == 0


def test_every_kind_of_fault_is_met(outcomes):
    faults: Counter[str] = sum((outcome.faults for outcome in outcomes), Counter())
    assert {name for name in harness.FAULTS if not faults[name]} == set()


def test_a_process_killed_at_any_boundary_loses_nothing():
    found = [(where, outcome) for where, outcome in boundaries.kill_everywhere({Kind.ACTIVE}, step=7)]
    assert len(found) > 15
    assert [where for where, outcome in found if not outcome.is_clean] == []


@pytest.mark.parametrize("consolidators", [2, 3, 4])
def test_interleaved_consolidations_never_overlap_and_the_newest_wins(consolidators):
    assert interleavings.survey(SCHEDULES, consolidators) == (0, Verdict())


def test_interleaved_coordinators_start_a_date_once():
    assert interleavings.survey(range(8), 1, coordinators=2) == (0, Verdict())


def test_without_the_lease_merges_overlap():
    with interleavings.without_lease():
        overlaps, _ = interleavings.survey(range(25), 3)
    assert overlaps > 0


def test_the_old_way_loses_players_at_the_limits_alone():
    nights = [old_way.run_night(seed) for seed in OLD_NIGHTS]
    assert min(night.lost_players for night in nights) > 0


def test_a_night_is_finished_whatever_kills_the_watchdog_that_resumes_it():
    runs = boundaries.kill_everywhere({Kind.ACTIVE}, 1, watchdogs.drive, boundaries.is_of_resume)
    found = list(runs)
    assert len(found) > 15
    assert [where for where, outcome in found if not outcome.is_clean] == []


def test_a_night_is_finished_by_the_watchdog_whatever_fails_meanwhile():
    outcomes = [harness.run_batch(seed, {Kind.ACTIVE}, watchdogs.drive) for seed in WATCHED_RUNS]
    assert sum((outcome.verdict for outcome in outcomes), Verdict()) == Verdict()
    assert sum(outcome.false_records for outcome in outcomes) == 0
