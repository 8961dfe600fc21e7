"""Counting the players of a night by stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.core.result import Health, Result
from services.judgement.players import judge_players
from services.nights import coverage
from services.nights.coverage import funnel, read_history
from services.nights.player_stages import Stage, read_night
from services.nights.worker_log import Rejection, WorkerLog
from services.sandbox.scenarios.december import build_seed
from services.telemetry.log_reader import LogLine
from tests.support.alert_factories import make_batch, make_write_report
from tests.support.factories import NOW, make_attempt, make_night, make_player, player_without_rows
from tests.support.memory_clients import SimulatedClock
from tests.support.night_facts import SETTINGS, UNREAD, make_batches, make_facts
from tests.support.seeded_nights import seeded_project


def test_the_funnel_is_unknown_for_a_stage_whose_source_failed():
    counts = funnel(make_night(make_player(generated_rows=None), make_player())).players
    assert counts[Stage.GENERATED] is None
    assert counts[Stage.ACTIVE] == 2


def test_the_staged_stage_is_unknown_while_nothing_shows_that_the_night_wrote_directly():
    unproven = funnel(make_night(make_player(), make_player()))
    assert (unproven.players[Stage.STAGED], unproven.notes) == (None, {})


def test_nobody_was_staged_before_the_run():
    night = make_night(player_without_rows(requested=False), was_run=False)
    assert funnel(night).players[Stage.STAGED] == 0


def test_the_staged_stage_is_not_used_on_a_night_whose_log_shows_direct_writes():
    night = replace(make_night(make_player(), make_player()), wrote_directly=True)
    assert funnel(night).notes == {Stage.STAGED: "not used: direct writes"}


def test_a_night_that_a_staged_rerun_completed_counts_both_ways():
    """The story of `make run`: 68 players written directly, 90 by the re-run through staging."""
    players = [*[make_player()] * 68, *[make_player(staged_rows=25)] * 90]
    repaired = funnel(make_night(*players, wrote_directly=True))
    assert (repaired.players[Stage.STAGED], repaired.notes) == (90, {Stage.STAGED: "68 written directly"})
    by_jobs = funnel(make_night(*players), make_write_report(*[make_attempt(ok=True)] * 69))
    assert (by_jobs.players, by_jobs.notes) == (repaired.players, repaired.notes)


def test_a_player_whose_way_nothing_shows_leaves_the_staged_stage_unknown():
    players = [*[make_player()] * 68, *[make_player(staged_rows=25)] * 90]
    assert funnel(make_night(*players)).players[Stage.STAGED] is None
    too_few = make_write_report(*[make_attempt(ok=True)] * 67)
    assert funnel(make_night(*players), too_few).players[Stage.STAGED] is None
    unread = [*players[1:], player_without_rows(staged_rows=None)]
    assert funnel(make_night(*unread, wrote_directly=True)).players[Stage.STAGED] is None
    assert funnel(make_night(*players[68:], player_without_rows())).players[Stage.STAGED] == 90


@pytest.mark.parametrize(("players", "statements", "direct"), [(12, 12, True), (12, 11, False), (2, 9, False)])
def test_a_statement_for_each_player_in_the_job_history_shows_direct_writes(players, statements, direct):
    night = make_night(*[make_player()] * players)
    writes = make_write_report(*[make_attempt(ok=True)] * statements)
    assert bool(funnel(night, writes).notes) is direct


@pytest.mark.parametrize(
    ("error", "direct"),
    [("400 Too many DML statements outstanding against table x", True), ("404 Not found: Dataset x", False)],
)
def test_a_dml_limit_in_the_log_shows_that_workers_wrote_directly(error, direct):
    line = LogLine(NOW, "prediction-worker", "r", "ERROR", f"Error writing to BigQuery: {error}", "i")
    rejection = Rejection(line, error)
    assert WorkerLog(rejected={"ann": rejection}).wrote_directly is direct
    assert WorkerLog(unnamed=(rejection,)).wrote_directly is direct


def test_a_night_without_a_row_is_not_run_yet_until_its_deadline():
    state_by_time = {
        datetime(2025, 12, 30, 6, 45, tzinfo=UTC): "not run yet",  # still the night before
        datetime(2025, 12, 30, 15, 0, tzinfo=UTC): "not run yet",
        datetime(2025, 12, 31, 3, 0, tzinfo=UTC): "critical",  # past its deadline
        datetime(2025, 12, 31, 15, 0, tzinfo=UTC): "critical",
    }
    night = date(2025, 12, 30)
    with seeded_project(build_seed().tables) as (_project, clients):
        histories = {
            now: read_history(replace(clients, clock=SimulatedClock(now)), night, night) for now in state_by_time
        }
    assert {now: history.days[0].state for now, history in histories.items()} == state_by_time
    assert {history.days[0].health for history in histories.values()} == {Health.UNKNOWN, Health.CRITICAL}


BEFORE_DEADLINE, PAST_DEADLINE = datetime(2025, 12, 29, 20, 0, tzinfo=UTC), datetime(2025, 12, 29, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "batches", "state", "health"),
    [
        (BEFORE_DEADLINE, make_batches(make_batch(state=BatchState.RUNNING)), "running", Health.UNKNOWN),
        (BEFORE_DEADLINE, make_batches(make_batch(state=BatchState.CONSOLIDATED)), "critical", Health.CRITICAL),
        (BEFORE_DEADLINE, make_batches(make_batch(state=BatchState.STALLED)), "critical", Health.CRITICAL),
        (BEFORE_DEADLINE, Result(Batches((), ())), "unknown", Health.UNKNOWN),
        (BEFORE_DEADLINE, UNREAD, "unknown", Health.UNKNOWN),
        (PAST_DEADLINE, make_batches(make_batch(state=BatchState.RUNNING)), "critical", Health.CRITICAL),
    ],
)
def test_a_night_that_is_partly_written_is_in_the_history_what_the_players_statement_says(
    monkeypatch, now, batches, state, health
):
    """29 December with its 68 of 158 players, on that evening."""

    def read_batches(*_: object) -> Batches:
        if batches.value is None:
            raise OnCallError("No record of batches can be read.")
        return batches.value

    monkeypatch.setattr(coverage, "read_batches", read_batches)
    tables = {
        name: [row for row in rows if row.get("game_date") == "2025-12-29"]
        for name, rows in build_seed().tables.items()
    }
    with seeded_project(tables) as (_project, clients):
        evening = replace(clients, clock=SimulatedClock(now))
        (day,) = read_history(evening, date(2025, 12, 29), date(2025, 12, 29)).days
        night = read_night(evening, date(2025, 12, 29))
    assert (day.active, day.eligible) == (68, 158)
    assert (day.state, day.health) == (state, health)
    facts = make_facts(night=Result(night), batches=batches, now=now)
    assert judge_players(facts, SETTINGS).health is health
