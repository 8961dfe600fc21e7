"""Runs: the plan names the players and what stands in the way, the run is believed after a re-read, every bad end is a sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.actions.executor import Refused, run_action
from services.actions.log_reader import State
from services.batches.ledger import Entry
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.errors import BadInput, OnCallError
from services.gcp.clients import Cloud
from services.nights.missing_players import Why
from services.nights.player_stages import read_night
from services.runs.actions import RESUME, START
from services.runs.coordinator_client import NotUnderstood, progress_of, read_coordinator, start
from services.runs.progress import live_of
from services.runs.verification import checks as judge
from services.runs.verification import read_checks
from services.telemetry.dml_jobs import read_writes
from tests.actions.conftest import OPERATOR
from tests.actions.pipeline import Customers, own_coordinator, served

NIGHT = {"game_date": "2025-12-29"}
BATCH = "batch_2025-12-29_1767080000"


def at(desk: Cloud, url: str) -> Cloud:
    """The same desk with another coordinator."""
    return replace(desk, settings=replace(desk.settings, coordinator_url=url))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr("services.runs.actions.LOOK_EVERY_S", 0.1)
    monkeypatch.setattr("services.runs.actions.TELL_EVERY_S", 0.5)


@pytest.fixture(scope="module")
def ours(own_sandbox):
    with own_coordinator(own_sandbox) as url:
        yield url


def accepted(_):
    return 202, {"status": "started", "batch_id": BATCH, "game_date": "2025-12-29", "published": 158}


def in_memory(completed, status="in_progress"):
    progress = {"expected": 158, "completed": completed, "failed": 0, "is_complete": status == "complete"}
    return 200, {"status": status, "progress": progress, "is_stalled": False, "summary": {}}


# --- coordinators that go wrong: before the night is repaired below -----------------------------------------------------


def test_a_customers_coordinator_cannot_run_single_players_so_the_plan_is_the_whole_date(desk, told):
    with served(Customers(accepted, lambda: in_memory(0)).application()) as url:
        plan = START.plan(at(desk, url), NIGHT)
    assert plan.title == "Re-run all 158 players of Mon 29 Dec 2025"
    assert "the smallest safe unit is the whole date" in " ".join(plan.cautions)
    assert next(c for c in plan.changes if c.what == "rows replaced").after.startswith("1,700 of 68 players")
    assert plan.typed == "2025-12-29"
    assert "players" not in plan.observed["body"]


def test_a_coordinator_that_is_down_blocks_the_plan_and_says_so(desk, told):
    desk = at(desk, "http://127.0.0.1:9")
    plan = START.plan(desk, NIGHT)
    assert [guard.name for guard in plan.blocked] == ["coordinator", "width"] or [g.name for g in plan.blocked] == [
        "coordinator"
    ]
    with pytest.raises(Refused, match="does not answer"):
        run_action(desk, OPERATOR, START, plan, "try", "2025-12-29")
    assert [action.state for action in told()] == [State.REFUSED]


@pytest.mark.parametrize("root", [(200, "<html>sign in</html>"), (200, {"hello": 1}), (503, {"service": "x"})])
def test_what_answers_but_is_no_coordinator_is_not_understood(desk, root):
    with served(Customers(accepted, lambda: in_memory(0), root).application()) as url, pytest.raises(NotUnderstood):
        read_coordinator(at(desk, url))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((409, {"status": "already_running", "batch_id": "batch_x"}), "already_running"),
        ((404, {"error": "No players found"}), "No players found"),
        ((503, {"error": "DATA_INCOMPLETE"}), "DATA_INCOMPLETE"),
        ((200, {"status": "no_games_scheduled"}), "no_games_scheduled"),
        ((202, {"status": "started"}), "started"),
        ((500, "Traceback"), "not JSON"),
    ],
)
def test_a_start_that_is_not_accepted_is_told_in_a_sentence(desk, answer, words):
    with (
        served(Customers(lambda _: answer, lambda: (404, {})).application()) as url,
        pytest.raises(OnCallError) as error,
    ):
        start(desk, url, {"game_date": "2025-12-29"})
    assert words in error.value.sentence


def test_a_refused_start_is_a_recorded_failure_and_the_night_is_as_it_was(desk):
    running = (409, {"status": "already_running", "batch_id": "batch_x"})
    with served(Customers(lambda _: running, lambda: (404, {"status": "not_found"})).application()) as url:
        desk = at(desk, url)
        action = run_action(desk, OPERATOR, START, START.plan(desk, NIGHT), "try", "2025-12-29")
    assert action.state is State.FAILED
    assert "already_running (batch batch_x)" in action.sentence
    assert "68 of 158 eligible players are active" in action.sentence


def test_a_coordinator_that_accepts_and_does_nothing_is_not_believed(desk, monkeypatch):
    monkeypatch.setattr("services.runs.actions.MOVES_WITHIN_S", 0.8)
    other = Customers(accepted, lambda: in_memory(0))
    with served(other.application()) as url:
        desk = at(desk, url)
        action = run_action(desk, OPERATOR, START, START.plan(desk, NIGHT), "try", "2025-12-29")
    assert action.state is State.FAILED
    assert "nothing has moved: in_progress: 0 of 158 players have answered" in action.sentence
    assert other.asked[0]["force"] is True
    assert other.asked[0]["correlation_id"] == action.action_id


def test_a_coordinator_that_claims_success_without_rows_is_not_believed(desk):
    with served(Customers(accepted, lambda: in_memory(158, "complete")).application()) as url:
        desk = at(desk, url)
        action = run_action(desk, OPERATOR, START, START.plan(desk, NIGHT), "try", "2025-12-29")
    assert action.state is State.FAILED
    assert (action.coverage_after.active, action.coverage_after.eligible) == (68, 158)


def test_both_documented_shapes_of_status_are_read():
    memory = progress_of(
        BATCH, {"status": "in_progress", "progress": {"expected": 4, "completed": 3, "eta_seconds": 2.5}}
    )
    flat = progress_of(
        BATCH, {"status": "complete", "expected_players": 4, "completed_players": 4, "source": "firestore"}
    )
    assert (memory.requested, memory.completed, memory.eta_s, memory.ended) == (4, 3, 2.5, False)
    assert (flat.requested, flat.completed, flat.ended) == (4, 4, True)


def test_progress_tells_rate_and_eta_and_calls_what_stands_still_by_its_name():
    began, now = datetime(2025, 12, 30, 6, 45, tzinfo=UTC), datetime(2025, 12, 30, 6, 47, tzinfo=UTC)
    moving = live_of(progress_of(BATCH, in_memory(60)[1]), began, now)
    assert (moving.per_minute, moving.stalled) == (30, False)
    assert (moving.ready_at - now).total_seconds() == pytest.approx(196)
    assert live_of(progress_of(BATCH, in_memory(0)[1]), began, now).stalled


# --- bad wishes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("date", ["", "29 December", None, "2025-13-01"])
def test_what_is_no_date_is_told_in_a_sentence(desk, date):
    with pytest.raises(BadInput, match="is not a game date"):
        START.plan(desk, {"game_date": date})


def test_an_empty_selection_of_players_is_an_error_and_never_everybody(desk):
    with pytest.raises(BadInput, match="No player was chosen"):
        START.plan(desk, {**NIGHT, "players": []})


def test_a_player_whom_no_run_would_repair_cannot_be_chosen(desk, ours):
    with pytest.raises(BadInput, match="Not among the players"):
        START.plan(at(desk, ours), {**NIGHT, "players": ["nobody"]})


def test_a_date_without_games_is_blocked(desk, ours):
    plan = START.plan(at(desk, ours), {"game_date": "2025-12-24"})
    assert "games" in [guard.name for guard in plan.blocked]


def test_leftover_staging_of_the_date_blocks_a_run_with_its_batch_named(desk, ours):
    plan = START.plan(at(desk, ours), {"game_date": "2025-12-25"})
    blocked = {guard.name: guard.sentence for guard in plan.blocked}
    assert "9 staging tables of batch_2025-12-25_1766680200 still hold rows" in blocked["staging is clear"]


def test_a_batch_that_no_ledger_knows_cannot_be_resumed(desk, ours):
    with pytest.raises(BadInput, match="No batch batch_2025-12-29_99"):
        RESUME.plan(at(desk, ours), {"batch_id": "batch_2025-12-29_99999999"})
    plan = RESUME.plan(at(desk, ours), {"batch_id": "batch_2025-12-29_1767037620"})
    assert {guard.name for guard in plan.blocked} == {"coordinator can", "batch has stopped"}


# --- the night, repaired -------------------------------------------------------------------------------------------------


def test_the_plan_of_29_december_names_the_90_lost_players_why_each_and_what_comes(desk, ours):
    desk = at(desk, ours)
    assert "players" in read_coordinator(desk).supports
    plan = START.plan(desk, NIGHT)
    assert plan.title == "Re-run 90 lost players of Mon 29 Dec 2025"
    assert not plan.blocked
    assert set(plan.observed["lost"].values()) == {str(Why.WRITE_REJECTED)}
    assert len(plan.observed["body"]["players"]) == 90
    sums = {change.what: change.after for change in plan.changes}
    assert (sums["players active"], sums["rows added"], sums["rows replaced"]) == (
        "158 of 158",
        "+2,250 (as generated before)",
        "none",
    )
    assert '"players"' in plan.commands[0]


def test_one_chosen_player_is_run_and_only_that_one(desk, ours):
    desk = at(desk, ours)
    who = sorted(START.plan(desk, NIGHT).observed["lost"])[0]
    plan = START.plan(desk, {**NIGHT, "players": [who]})
    assert plan.observed["body"]["players"] == [who]
    action = run_action(desk, OPERATOR, START, plan, "one first")
    assert action.state is State.DONE, action.sentence
    assert (action.coverage_before.active, action.coverage_after.active) == (68, 69)


def test_a_plan_made_before_the_run_is_refused_after_it_with_the_difference(desk, ours):
    desk = at(desk, ours)
    plan = replace(START.plan(desk, {**NIGHT, "scope": "date"}), observed={"active players": 68})
    with pytest.raises(Refused, match="active players was 68, is 69"):
        run_action(desk, OPERATOR, START, plan, "late", "2025-12-29")


def test_a_night_that_has_not_run_is_started_whole_without_force(desk, ours):
    desk = at(desk, ours)
    plan = START.plan(desk, {"game_date": "2025-12-30"})
    assert plan.title == "Start the run of Tue 30 Dec 2025 (28 players)"
    assert plan.observed["body"] == {"game_date": "2025-12-30"}
    action = run_action(desk, OPERATOR, START, plan)
    assert action.state is State.DONE, action.sentence
    assert "28 of 28 eligible players are active" in action.sentence
    batch = read_batches(desk, datetime(2025, 12, 30, tzinfo=UTC).date()).batches[0]
    checks = read_checks(desk, batch)
    assert [check.question for check in checks if check.ok is not True] == []
    assert "700 produced = 700 staged." in [check.sentence for check in checks]


def test_a_sum_that_does_not_hold_is_named_and_one_that_is_not_known_is_not_all_right(desk, ours):
    day = datetime(2025, 12, 30, tzinfo=UTC).date()
    entry = Entry(
        BATCH, day, BatchState.CONSOLIDATION_FAILED, 4, "x", produced_rows=700, staged_rows=675, staged_tables=27
    )
    writes = read_writes(desk, desk.now(), desk.now())
    found = {check.question: check for check in judge(entry, read_night(desk, day), writes, tables_left=27)}
    assert found["what was produced was staged"].ok is False
    assert found["what was produced was staged"].sentence == "700 produced = 675 staged."
    assert found["each distinct row was merged"].ok is None
    assert (found["consolidation succeeded"].ok, found["staging is clean"].ok) == (False, False)
