"""Whichever process dies, repeats or meets another between two calls, no row is lost, doubled, revived or of an older version."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from tests.faults import boundaries, harness, interleavings, old_way, watchdogs
from tests.faults.judge import Verdict
from tests.faults.seeds import NIGHT, PLAYERS, Kind
from tests.faults.world import BAD_PLAYERS, Process, ProcessKilled, open_world

RUNS = (*range(20), 30)  # which meet every fault
SCHEDULES, OLD_NIGHTS, WATCHED_RUNS = range(25), range(50), range(8)


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


@pytest.mark.parametrize("unit_players", [1, 2, 4])
def test_players_whose_worker_died_after_it_had_staged_are_found_in_its_table(unit_players):
    """No worker ever acknowledged the rows."""

    def kill_worker(_world, boundary):
        if boundary[0].name == "worker" and boundary[1:3] == ("load", "after"):
            boundary[0].dead = True
            raise ProcessKilled

    with open_world({Kind.ACTIVE}, kill_worker, unit_players=unit_players) as world:
        outcome = harness.outcome_of(world, harness.drive(world, random.Random(0)))
    assert (outcome.verdict, outcome.false_records) == (Verdict(), 0)


@pytest.mark.parametrize("unit_players", [1, 2])
def test_a_batch_resumed_after_half_its_units_asks_for_the_players_of_the_others(unit_players):
    coordinator, half = Process("coordinator"), len(PLAYERS) // unit_players // 2

    def kill_halfway(world, boundary):
        if boundary[:3] == (coordinator, "predict", "after") and len(world.requests) == half:
            coordinator.dead = True
            raise ProcessKilled

    with open_world({Kind.ACTIVE}, kill_halfway, unit_players=unit_players) as world:
        with pytest.raises(ProcessKilled):
            world.post(coordinator, "/start", {"game_date": str(NIGHT)})
        world.clock.at += harness.WAIT
        outcome = harness.outcome_of(world, harness.drive(world, random.Random(0)))
    asked = Counter(player["player_lookup"] for body in world.requests for player in json.loads(body)["players"])
    assert (outcome.verdict, outcome.false_records, asked) == (Verdict(), 0, Counter(PLAYERS))


@pytest.mark.parametrize("bad_player", BAD_PLAYERS, ids=lambda player: player.outcome)
def test_a_player_who_cannot_be_staged_costs_no_other_of_his_unit(bad_player):
    with open_world({Kind.ACTIVE}, unit_players=4, bad_player=bad_player) as world:
        outcome = harness.outcome_of(world, harness.drive(world, random.Random(0)))
    assert (len(world.requests), outcome.verdict, outcome.false_records) == (1, Verdict(), 0)


def test_every_run_ends_with_records_that_are_true(outcomes):
    assert sum(outcome.false_records for outcome in outcomes) == 0


def test_every_kind_of_fault_is_met(outcomes):
    faults: Counter[str] = sum((outcome.faults for outcome in outcomes), Counter())
    assert {name for name in harness.FAULTS if not faults[name]} == set()


def test_a_process_killed_at_any_boundary_loses_nothing():
    found = [(where, outcome) for where, outcome in boundaries.kill_everywhere({Kind.ACTIVE}, step=7)]
    assert len(found) > 15
    assert [where for where, outcome in found if not outcome.is_clean] == []


@pytest.mark.parametrize("unit_players", [1, 4])
@pytest.mark.parametrize(
    ("call", "phase", "about", "recorded"),
    [
        ("claim", "after", "on-call-release-", False),  # the lease is free, and the end not recorded
        ("INSERT", "before", "batches", False),
        ("INSERT", "after", "batches", True),  # recorded, and nothing dropped
        ("tables.delete", "after", "_staging_", True),  # half of the tables dropped
        ("tables.delete", "after", "oncall_compact_", False),  # the copy, before anything else
    ],
)
def test_a_coordinator_killed_between_merge_and_cleanup_loses_nothing(unit_players, call, phase, about, recorded):
    coordinator = Process("coordinator")

    def kill(world, boundary):
        process, this_call, this_phase, subject = boundary
        named = about in f"{getattr(subject, 'job_id', subject)} {getattr(subject, 'table', '')}"
        merged = any(job.statement_type == "MERGE" and job.ended for job in world.project.jobs.values())
        if (process, this_call, this_phase) == (coordinator, call, phase) and named and merged:
            coordinator.dead = True
            raise ProcessKilled

    with open_world({Kind.ACTIVE}, kill, unit_players=unit_players) as world:
        with pytest.raises(ProcessKilled):
            world.post(coordinator, "/start", {"game_date": str(NIGHT)})
        assert (world.false_records() == 0) == recorded
        world.clock.at += harness.WAIT
        outcome = harness.outcome_of(world, harness.drive(world, random.Random(0)))
    assert (outcome.verdict, outcome.false_records) == (Verdict(), 0)


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
