"""Stopping a run: what its plan says, when it is refused, and that only the ledger's word makes it done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.errors import InvalidInput
from services.runs import actions, stop
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.coordinator_client import CoordinatorInfo, CoordinatorRefused, parse_progress
from services.runs.stop import STOP_RUN
from tests.support.actors import OPERATOR
from tests.support.alert_factories import BATCH, NOW, make_batch
from tests.support.clock import FixedClock
from tests.support.concurrency import run_concurrently
from tests.support.memory_records import MemoryRecords

ARGS = {"batch_id": BATCH}


class Platform:
    """A batch and its coordinator as the action reads them."""

    def __init__(self) -> None:
        self.batch = make_batch(state=BatchState.RUNNING, status_text="running", ended=None)
        self.supports = {"players", "resume", "stop"}
        self.completed: int | None = 60
        self.stop_requests: list[Any] = []
        self.states_after_stop = [BatchState.STOPPED]

    def stop(self, _clients: object, url: str, body: object) -> dict[str, Any]:
        self.stop_requests.append((url, body))
        return {"status": "stopping"}

    def follow(self, *_: object) -> None:
        self.batch = make_batch(state=self.states_after_stop.pop(0), status_text="stopped on request: 60 staged")

    def progress(self, *_: object) -> Any:
        counts = {"expected": 158, "completed": self.completed}
        return parse_progress(BATCH, {"status": "in_progress", "progress": counts})


@pytest.fixture
def platform(monkeypatch):
    platform = Platform()
    monkeypatch.setattr(actions, "read_batches", lambda *_: Batches((platform.batch,), ()))
    info = lambda _: CoordinatorInfo("http://c", "prediction-coordinator", frozenset(platform.supports))  # noqa: E731
    monkeypatch.setattr(stop, "read_coordinator", info)
    monkeypatch.setattr(actions, "read_coordinator", info)
    monkeypatch.setattr(stop, "poll_progress", platform.progress)
    monkeypatch.setattr(stop, "stop_batch", platform.stop)
    monkeypatch.setattr(actions, "wait_for_batch", platform.follow)
    return platform


@pytest.fixture
def clients(monkeypatch):
    records = MemoryRecords(FixedClock(NOW))
    records.install(monkeypatch)
    return records.clients()


def plan_stop(clients):
    return STOP_RUN.plan(clients, ARGS)


def test_the_plan_says_what_stays_how_many_requests_remain_and_how_to_go_on(platform, clients):
    plan = plan_stop(clients)
    assert (plan.title, plan.failed_guards) == (f"Stop run · {BATCH}", ())
    assert plan.warnings == ("98 of 158 requests remain; those in progress finish, the others are not sent.",)
    assert "Resume the batch" in plan.undo
    assert plan.commands == (
        'curl -X POST http://c/stop -H "Authorization: Bearer $(gcloud auth print-identity-token)"'
        f" -H 'Content-Type: application/json' -d '{{\"batch_id\": \"{BATCH}\"}}'",
    )


def test_answers_that_come_in_meanwhile_do_not_make_the_plan_another_one(platform, clients):
    shown = plan_stop(clients)
    platform.completed = 61
    platform.batch = make_batch(state=BatchState.REQUESTED)
    assert plan_stop(clients).hash == shown.hash


def test_an_unknown_number_of_requests_is_said_to_be_unknown(platform, clients):
    platform.completed = None
    assert plan_stop(clients).warnings == ("Remaining requests unknown.",)


@pytest.mark.parametrize("record_source", ["ledger", "logs"])
def test_a_batch_of_a_coordinator_without_stop_cannot_be_stopped_and_the_guard_says_so(
    platform, clients, record_source
):
    platform.supports = {"stop"} if record_source == "logs" else {"players", "resume"}
    platform.batch = make_batch(state=BatchState.RUNNING, record_source=record_source)
    plan = plan_stop(clients)
    (guard,) = plan.failed_guards
    assert guard.message == f"{BATCH} can't be stopped: its coordinator has no /stop."
    with pytest.raises(ActionRefused, match="can't be stopped"):
        execute(clients, OPERATOR, STOP_RUN, plan)
    assert platform.stop_requests == []


@pytest.mark.parametrize("state", [s for s in BatchState if s not in (BatchState.REQUESTED, BatchState.RUNNING)])
def test_a_batch_that_asks_no_players_cannot_be_stopped(platform, clients, state):
    platform.batch = make_batch(state=state)
    (guard,) = plan_stop(clients).failed_guards
    assert guard.message == f"{BATCH} is {state}: no request is left to stop."


@pytest.mark.parametrize("batch_id", ["", None, "batch_2025-12-29_99999999", "x"])
def test_a_batch_that_is_not_recorded_is_refused_with_a_message(platform, clients, batch_id):
    with pytest.raises(InvalidInput, match=r"is not a batch|No batch"):
        STOP_RUN.plan(clients, {"batch_id": batch_id})


def test_a_stop_is_done_when_the_ledger_says_so(platform, clients):
    action = execute(clients, OPERATOR, STOP_RUN, plan_stop(clients))
    assert (action.state, action.message) == (ActionState.DONE, f"{BATCH}: stopped on request: 60 staged.")
    assert (action.target, action.facts["batch_id"]) == ("2025-12-29", BATCH)
    assert platform.stop_requests == [("http://c", {"batch_id": BATCH})]


def test_a_stop_that_came_too_late_has_failed_and_one_that_still_goes_on_is_unverified(platform, clients):
    platform.states_after_stop = [BatchState.RUNNING, BatchState.CONSOLIDATED]
    action = execute(clients, OPERATOR, STOP_RUN, plan_stop(clients))
    assert (action.state, action.message) == (ActionState.UNVERIFIED, f"{BATCH} is running.")
    action = execute(clients, OPERATOR, STOP_RUN, plan_stop(clients))
    assert action.state is ActionState.UNVERIFIED, "no time has passed: this is the same click"
    clients.clock.advance(1)
    action = execute(clients, OPERATOR, STOP_RUN, plan_stop(clients))
    assert (action.state, action.message) == (ActionState.FAILED, f"{BATCH} was not stopped: it is consolidated.")


def test_a_refused_stop_is_reported_with_the_coordinators_reason(platform, clients, monkeypatch):
    def refuse(*_: object) -> Any:
        raise CoordinatorRefused("The coordinator refused to stop it: HTTP 409, too late.")

    monkeypatch.setattr(stop, "stop_batch", refuse)
    platform.batch = make_batch(state=BatchState.RUNNING)
    plan = plan_stop(clients)
    action = execute(clients, OPERATOR, STOP_RUN, plan)
    assert (action.state, "HTTP 409, too late" in action.message) == (ActionState.UNVERIFIED, True)


def test_eight_people_stop_a_run_once(platform, clients):
    plan = plan_stop(clients)
    platform.states_after_stop = [BatchState.STOPPED] * 8
    stopped = run_concurrently(*[lambda: execute(clients, OPERATOR, STOP_RUN, plan)] * 8)
    assert len({action.action_id for action in stopped}) == 1
    assert len(platform.stop_requests) == 1


@pytest.mark.parametrize("action_type", [START_RUN, RESUME_BATCH, STOP_RUN], ids=lambda a: a.name)
def test_a_run_is_accepted_first_and_followed_apart_from_that(monkeypatch, action_type):
    """So that the watchdog can leave it to a later check, and a person can wait for the end."""
    calls: list[str] = []
    info = CoordinatorInfo("http://c", "prediction-coordinator", frozenset())
    for module in (actions, stop):
        monkeypatch.setattr(module, "read_coordinator", lambda _: info)
    monkeypatch.setattr(actions, "start_run", lambda *_: BATCH)
    monkeypatch.setattr(actions, "resume_batch", lambda *_: {})
    monkeypatch.setattr(stop, "stop_batch", lambda *_: {})
    monkeypatch.setattr(actions, "wait_for_batch", lambda _c, url, batch_id, _r: calls.append(f"{url} {batch_id}"))
    plan = SimpleNamespace(args={"batch_id": BATCH}, preconditions={"body": {}})
    context: Any = SimpleNamespace(
        clients=None, plan=plan, action_id="a", actor=OPERATOR, report_progress=lambda text, **_: calls.append(text)
    )
    details = action_type.apply(context)
    assert (details, len(calls)) == ({"batch_id": BATCH}, 1)
    assert action_type.follow is not None
    action_type.follow(context, details)
    assert calls[1:] == [f"http://c {BATCH}"]
