"""Run actions: the plan names players and blockers, success is confirmed by a re-read, every failure has a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.batches.ledger import BatchRecord
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.errors import InvalidInput, OnCallError
from services.gcp.clients import Clients
from services.nights.missing_players import LossReason
from services.nights.player_stages import read_night
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.coordinator_client import UnexpectedResponse, read_coordinator, start_run
from services.runs.range_actions import RUN_RANGE
from services.runs.verification import read_run_verification, verify_run
from services.telemetry.dml_jobs import read_writes
from tests.support.actors import OPERATOR
from tests.support.coordinators import CustomerCoordinator, coordinator_server, serve_app

NIGHT_ARGS = {"game_date": "2025-12-29"}
BATCH = "batch_2025-12-29_1767080000"


def with_coordinator(clients: Clients, url: str) -> Clients:
    """The same clients with another coordinator."""
    return replace(clients, settings=clients.settings.model_copy(update={"coordinator_url": url}))


@pytest.fixture(autouse=True)
def fast_polling(monkeypatch):
    monkeypatch.setattr("services.runs.actions.POLL_INTERVAL_S", 0.1)
    monkeypatch.setattr("services.runs.actions.REPORT_INTERVAL_S", 0.5)


@pytest.fixture(scope="module")
def coordinator_url(module_sandbox):
    with coordinator_server(module_sandbox) as url:
        yield url


def accepted_response(_):
    return 202, {"status": "started", "batch_id": BATCH, "game_date": "2025-12-29", "published": 158}


def in_memory_status(completed, status="in_progress"):
    progress = {"expected": 158, "completed": completed, "failed": 0, "is_complete": status == "complete"}
    return 200, {"status": status, "progress": progress, "is_stalled": False, "summary": {}}


# --- coordinators that go wrong: before the night is repaired below -----------------------------------------------------


def test_a_coordinator_without_single_player_support_plans_the_whole_date(module_clients, recorded_actions):
    with serve_app(CustomerCoordinator(accepted_response, lambda: in_memory_status(0)).application()) as url:
        plan = START_RUN.plan(with_coordinator(module_clients, url), NIGHT_ARGS)
    assert plan.title == "Re-run all 158 players · Mon 29 Dec 2025"
    assert "the whole date will run" in " ".join(plan.warnings)
    assert plan.figures[1].note.endswith("; 1,700 rows of 68 players updated where values differ")
    assert plan.confirmation_text == "2025-12-29"
    assert "players" not in plan.preconditions["body"]


def test_an_unreachable_coordinator_blocks_the_plan_with_a_message(module_clients, recorded_actions):
    module_clients = with_coordinator(module_clients, "http://127.0.0.1:9")
    plan = START_RUN.plan(module_clients, NIGHT_ARGS)
    assert [(guard.name, guard.ok) for guard in plan.failed_guards] == [("coordinator", None)]
    with pytest.raises(ActionRefused, match="does not respond"):
        execute(module_clients, OPERATOR, START_RUN, plan, "try", "2025-12-29")
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]


@pytest.mark.parametrize("root", [(200, "<html>sign in</html>"), (200, {"hello": 1}), (503, {"service": "x"})])
def test_a_response_that_is_no_coordinators_is_rejected(module_clients, root):
    with (
        serve_app(CustomerCoordinator(accepted_response, lambda: in_memory_status(0), root).application()) as url,
        pytest.raises(UnexpectedResponse),
    ):
        read_coordinator(with_coordinator(module_clients, url))


@pytest.mark.parametrize(
    ("answer", "expected_text"),
    [
        ((409, {"status": "already_running", "batch_id": "batch_x"}), "already_running"),
        ((404, {"error": "No players found"}), "No players found"),
        ((503, {"error": "DATA_INCOMPLETE"}), "DATA_INCOMPLETE"),
        ((200, {"status": "no_games_scheduled"}), "no_games_scheduled"),
        ((202, {"status": "started"}), "started"),
        ((500, "Traceback"), "non-JSON"),
    ],
)
def test_a_rejected_start_is_reported_with_its_reason(module_clients, answer, expected_text):
    with (
        serve_app(CustomerCoordinator(lambda _: answer, lambda: (404, {})).application()) as url,
        pytest.raises(OnCallError) as error,
    ):
        start_run(module_clients, url, {"game_date": "2025-12-29"})
    assert expected_text in error.value.message


def test_a_rejected_start_is_a_recorded_failure_and_changes_nothing(module_clients):
    conflict = (409, {"status": "already_running", "batch_id": "batch_x"})
    with serve_app(
        CustomerCoordinator(lambda _: conflict, lambda: (404, {"status": "not_found"})).application()
    ) as url:
        module_clients = with_coordinator(module_clients, url)
        action = execute(
            module_clients, OPERATOR, START_RUN, START_RUN.plan(module_clients, NIGHT_ARGS), "try", "2025-12-29"
        )
    assert action.state is ActionState.FAILED
    assert "already_running (batch batch_x)" in action.message
    assert "68 of 158 eligible players are active" in action.message


def test_a_coordinator_that_accepts_and_makes_no_progress_is_a_failure(module_clients, monkeypatch):
    monkeypatch.setattr("services.runs.actions.PROGRESS_TIMEOUT_S", 0.8)
    customer = CustomerCoordinator(accepted_response, lambda: in_memory_status(0))
    with serve_app(customer.application()) as url:
        module_clients = with_coordinator(module_clients, url)
        action = execute(
            module_clients, OPERATOR, START_RUN, START_RUN.plan(module_clients, NIGHT_ARGS), "try", "2025-12-29"
        )
    assert action.state is ActionState.FAILED
    assert "no progress for 1 s: in_progress: 0 of 158 players done" in action.message
    assert customer.start_requests[0]["force"] is True
    assert customer.start_requests[0]["correlation_id"] == action.action_id


def test_a_reported_success_without_rows_is_a_failure(module_clients):
    with serve_app(
        CustomerCoordinator(accepted_response, lambda: in_memory_status(158, "complete")).application()
    ) as url:
        module_clients = with_coordinator(module_clients, url)
        action = execute(
            module_clients, OPERATOR, START_RUN, START_RUN.plan(module_clients, NIGHT_ARGS), "try", "2025-12-29"
        )
    assert action.state is ActionState.FAILED
    assert action.coverage_after is not None
    assert (action.coverage_after.active, action.coverage_after.eligible) == (68, 158)


# --- invalid input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("date", ["", "29 December", None, "2025-13-01"])
def test_an_invalid_date_is_refused_with_a_message(module_clients, date):
    with pytest.raises(InvalidInput, match="is not a game date"):
        START_RUN.plan(module_clients, {"game_date": date})


def test_an_empty_player_selection_is_an_error_and_never_means_all(module_clients):
    with pytest.raises(InvalidInput, match="No players selected"):
        START_RUN.plan(module_clients, {**NIGHT_ARGS, "players": []})


def test_a_player_that_a_run_cannot_repair_cannot_be_selected(module_clients, coordinator_url):
    with pytest.raises(InvalidInput, match="A run would not fix: nobody"):
        START_RUN.plan(with_coordinator(module_clients, coordinator_url), {**NIGHT_ARGS, "players": ["nobody"]})


def test_a_date_without_games_is_blocked(module_clients, coordinator_url):
    plan = START_RUN.plan(with_coordinator(module_clients, coordinator_url), {"game_date": "2025-12-24"})
    assert "games" in [guard.name for guard in plan.failed_guards]


def test_leftover_staging_tables_block_a_run_and_name_their_batch(module_clients, coordinator_url):
    plan = START_RUN.plan(with_coordinator(module_clients, coordinator_url), {"game_date": "2025-12-25"})
    blocked = {guard.name: guard.message for guard in plan.failed_guards}
    assert "9 staging tables of batch_2025-12-25_1766680200 still hold rows" in blocked["staging clear"]


def test_a_batch_without_a_ledger_record_cannot_be_resumed(module_clients, coordinator_url):
    with pytest.raises(InvalidInput, match="No batch batch_2025-12-29_99"):
        RESUME_BATCH.plan(with_coordinator(module_clients, coordinator_url), {"batch_id": "batch_2025-12-29_99999999"})
    plan = RESUME_BATCH.plan(
        with_coordinator(module_clients, coordinator_url), {"batch_id": "batch_2025-12-29_1767037620"}
    )
    assert {guard.name for guard in plan.failed_guards} == {"coordinator supports it", "batch has stopped"}


# --- the night, repaired -------------------------------------------------------------------------------------------------


def test_the_plan_of_29_december_lists_the_90_missing_players_their_reasons_and_the_result(
    module_clients, coordinator_url
):
    module_clients = with_coordinator(module_clients, coordinator_url)
    assert "players" in read_coordinator(module_clients).supports
    plan = START_RUN.plan(module_clients, NIGHT_ARGS)
    assert plan.title == "Re-run 90 players · Mon 29 Dec 2025"
    assert not plan.failed_guards
    assert set(plan.preconditions["lost"].values()) == {str(LossReason.WRITE_REJECTED)}
    assert len(plan.preconditions["body"]["players"]) == 90
    assert [(figure.before, figure.after) for figure in plan.figures] == [
        ("68", "158"),
        ("1,700", "3,950"),
        ("43.0%", "100.0%"),
    ]
    assert plan.figures[1].note == "+2,250 as generated before"
    assert len(plan.changes) == 90
    assert '"players"' in plan.commands[0]


def test_one_selected_player_is_run_and_no_other(module_clients, coordinator_url):
    module_clients = with_coordinator(module_clients, coordinator_url)
    player = sorted(START_RUN.plan(module_clients, NIGHT_ARGS).preconditions["lost"])[0]
    plan = START_RUN.plan(module_clients, {**NIGHT_ARGS, "players": [player]})
    assert plan.preconditions["body"]["players"] == [player]
    action = execute(module_clients, OPERATOR, START_RUN, plan, "one first")
    assert action.state is ActionState.DONE, action.message
    assert action.coverage_before is not None
    assert action.coverage_after is not None
    assert (action.coverage_before.active, action.coverage_after.active) == (68, 69)


def test_an_outdated_plan_is_refused_with_its_differences(module_clients, coordinator_url):
    module_clients = with_coordinator(module_clients, coordinator_url)
    plan = replace(
        START_RUN.plan(module_clients, {**NIGHT_ARGS, "scope": "date"}), preconditions={"active players": 68}
    )
    with pytest.raises(ActionRefused, match=r"active players: 68 → 69; .*missing players: 0 → 89"):
        execute(module_clients, OPERATOR, START_RUN, plan, "late", "2025-12-29")


def test_a_range_starts_a_night_that_has_not_run_in_full_as_its_own_run(
    module_clients, coordinator_url, recorded_actions
):
    module_clients = with_coordinator(module_clients, coordinator_url)
    plan = START_RUN.plan(module_clients, {"game_date": "2025-12-30"})
    assert plan.title == "Start run of 28 players · Tue 30 Dec 2025"
    assert plan.preconditions["body"] == {"game_date": "2025-12-30"}, "without force"
    action = execute(
        module_clients,
        OPERATOR,
        RUN_RANGE,
        RUN_RANGE.plan(module_clients, {"first": "2025-12-30", "last": "2025-12-30"}),
    )
    assert (action.state, action.message) == (ActionState.DONE, "1 of 1 night verified.")
    [night] = [a for a in recorded_actions() if a.action_name == START_RUN.name]
    assert (night.target, night.state) == ("2025-12-30", ActionState.DONE)
    assert "28 of 28 eligible players are active" in night.message
    assert action.action_id in night.reason
    batch = read_batches(module_clients, datetime(2025, 12, 30, tzinfo=UTC).date()).batches[0]
    checks = read_run_verification(module_clients, batch)
    assert [check.name for check in checks if check.ok is not True] == []
    assert "700 produced = 700 + 0 staged + rejected." in [check.detail for check in checks]


def test_a_failed_sum_is_named_and_an_unknown_one_is_not_a_pass(module_clients, coordinator_url):
    day = datetime(2025, 12, 30, tzinfo=UTC).date()
    entry = BatchRecord(
        BATCH, day, BatchState.CONSOLIDATION_FAILED, 4, "x", produced_rows=700, staged_rows=675, staged_tables=27
    )
    writes = read_writes(module_clients, module_clients.now(), module_clients.now())
    checks = {
        check.name: check for check in verify_run(entry, read_night(module_clients, day), writes, remaining_tables=27)
    }
    assert checks["Produced = staged"].ok is False
    assert checks["Produced = staged"].detail == "700 produced = 675 staged."
    assert checks["Unique = inserted + updated + unchanged"].ok is None
    assert (checks["Consolidation succeeded"].ok, checks["Staging cleaned up"].ok) == (False, False)
