"""However often and from wherever an action is requested: one effect, one intent, one outcome; nothing without a record."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from services.actions.background import BackgroundRunner
from services.actions.executor import execute, recover
from services.actions.log_reader import ActionState, read_action_log, read_by_key
from services.actions.plan import Plan, plan_to_json
from services.auth.roles import InsufficientRole
from services.core.errors import OnCallError
from services.gcp import query_catalog
from services.gcp.clients import connect
from services.sandbox.common.fault_injection import Fault
from services.scaling.actions import SCALE_DOWN, SET_CAPACITY
from services.scaling.capacity import read_worker_capacity
from tests.support.actors import OPERATOR, VIEWER
from tests.support.concurrency import run_concurrently
from tests.support.sandbox import settings_as

SECOND_PROCESS_SCRIPT = """
import sys
from services.actions.executor import execute
from services.actions.plan import plan_from_json
from services.auth.roles import Actor, Role
from services.gcp.clients import connect
from services.core.settings import Settings
from services.action_registry import get_action_type
clients = connect(Settings.from_env())
plan = plan_from_json(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
action = execute(clients, Actor(sys.argv[1], Role.OPERATOR), get_action_type(plan.action_name), plan, "because")
print(action.action_id, action.state, flush=True)
"""


def capacity_args(instances, requests=5):
    return {"instances": instances, "requests": requests}


@pytest.fixture
def plan(module_clients) -> Plan:
    """A change of instances alone, to a number that the service does not have now."""
    current = read_worker_capacity(module_clients).actual
    return SET_CAPACITY.plan(module_clients, capacity_args(2 + (current.instances or 0) % 3, current.concurrency))


@pytest.fixture
def change_count(module_sandbox):
    """How often the service has been changed since the test began."""
    service = next(s for n, s in module_sandbox.state.cloud_run.services.items() if n.endswith("prediction-worker"))
    before, name = int(service["generation"]), service["name"]
    return lambda: int(module_sandbox.state.cloud_run.services[name]["generation"]) - before


def read_events(clients, plan) -> list[str]:
    return [row["event"] for row in query_catalog.run_query(clients, "actions.by_key", action_key=plan.key).rows]


def start_second_process(address: str, actor_name: str, plan: Plan) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", SECOND_PROCESS_SCRIPT, actor_name],
        env={"SANDBOX_URL": address, "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    write_line(process, plan_to_json(plan))
    return process


def write_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_two_clicks_250_ms_apart_are_one_action(module_clients, plan, change_count):
    runner = BackgroundRunner()

    def click():
        return runner.submit(
            plan, "operator", module_clients.now(), lambda: execute(module_clients, OPERATOR, SET_CAPACITY, plan)
        )

    first = click()
    time.sleep(0.25)
    second = click()
    assert first is second
    assert first.future.result(20).state is ActionState.DONE
    assert (change_count(), read_events(module_clients, plan)) == (1, ["intent", "outcome"])


def test_a_click_on_the_same_plan_after_completion_returns_the_same_action(module_clients, plan, change_count):
    first = execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    second = execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    assert second.action_id == first.action_id
    assert (change_count(), read_events(module_clients, plan)) == (1, ["intent", "outcome"])


def test_eight_concurrent_clicks_without_a_shared_runner_are_one_action(module_clients, plan, change_count):
    actions = run_concurrently(*[lambda: execute(module_clients, OPERATOR, SET_CAPACITY, plan)] * 8)
    assert len({action.action_id for action in actions}) == 1
    assert change_count() == 1
    assert sorted(read_events(module_clients, plan)) == ["intent", "outcome"]


def test_two_concurrent_dashboard_processes_execute_one_action(module_clients, module_sandbox, plan, change_count):
    processes = [start_second_process(module_sandbox.url, actor_name, plan) for actor_name in ("ann", "bob")]
    for process in processes:
        assert read_line(process) == "ready\n"
    for process in processes:
        write_line(process, "go")
    outputs = [process.communicate(timeout=60)[0].split() for process in processes]
    assert outputs[0][0] == outputs[1][0], "both got the same action"
    assert change_count() == 1
    assert sorted(read_events(module_clients, plan)) == ["intent", "outcome"]


def test_an_action_of_a_killed_dashboard_is_finished_by_the_next_viewer(
    module_clients, module_sandbox, change_count, monkeypatch
):
    monkeypatch.setattr(module_sandbox.state.cloud_run, "_rollout_s", 1.5)
    plan = SET_CAPACITY.plan(
        module_clients, capacity_args(3, 2 + read_worker_capacity(module_clients).actual.concurrency % 3)
    )
    process = start_second_process(module_sandbox.url, "ann", plan)
    assert read_line(process) == "ready\n"
    write_line(process, "go")
    while not change_count():
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert read_worker_capacity(module_clients).rolling_out
    interrupted = read_by_key(module_clients, plan.key)[0]
    assert (interrupted.actor, interrupted.state, interrupted.ended_at) == ("ann", ActionState.IN_PROGRESS, None)
    assert not interrupted.is_abandoned(module_clients.now())
    assert interrupted.is_abandoned(module_clients.now() + timedelta(seconds=151))
    assert execute(module_clients, OPERATOR, SET_CAPACITY, plan).action_id == interrupted.action_id, (
        "a click meanwhile does nothing of its own"
    )
    assert recover(module_clients, SET_CAPACITY, interrupted).state is ActionState.IN_PROGRESS, (
        "what still goes on gets no outcome yet"
    )
    while read_worker_capacity(module_clients).rolling_out:
        time.sleep(0.05)
    assert recover(module_clients, SET_CAPACITY, interrupted).state is ActionState.DONE
    recover(module_clients, SET_CAPACITY, interrupted)
    event_names = read_events(module_clients, plan)
    assert (change_count(), event_names.count("intent"), event_names.count("outcome")) == (1, 1, 1)
    assert read_by_key(module_clients, plan.key)[0].facts["found_again"] is True


def test_a_lost_response_is_resolved_by_reading_the_state_again(module_clients, module_sandbox, plan, change_count):
    module_sandbox.state.faults.set(Fault("run", "drop_after", "services.update", times=1))
    action = execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    assert action.state is ActionState.DONE
    assert "Cloud Run unavailable: " in action.message
    assert change_count() == 1


def test_a_rejected_call_is_a_failure_and_a_new_plan_may_retry(module_clients, module_sandbox, plan, change_count):
    module_sandbox.state.faults.set(
        Fault("run", "status", "services.update", status=403, message="Permission denied", times=1)
    )
    failed = execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    assert (failed.state, change_count()) == (ActionState.FAILED, 0)
    assert "Permission denied" in failed.message
    retried = execute(module_clients, OPERATOR, SET_CAPACITY, SET_CAPACITY.plan(module_clients, plan.args))
    assert (retried.state, change_count()) == (ActionState.DONE, 1)
    assert (retried.key, retried.attempt) == (failed.key, failed.attempt + 1)


def test_an_action_that_cannot_be_recorded_is_not_executed(module_clients, module_sandbox, plan, change_count):
    module_sandbox.state.faults.set(Fault("bigquery", "status", "insertJob", status=403, message="no"))
    with pytest.raises(OnCallError):
        execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    module_sandbox.state.faults.clear()
    assert (change_count(), read_events(module_clients, plan)) == (0, [])


def test_a_claim_whose_job_failed_does_not_block_the_action_forever(module_clients, module_sandbox, plan, change_count):
    with pytest.raises(Exception, match=r"nowhere"):
        module_clients.bigquery.query(
            "SELECT * FROM nowhere.nothing", job_id=f"on-call-{plan.key}-0-0", job_retry=None
        ).result()
    assert execute(module_clients, OPERATOR, SET_CAPACITY, plan).state is ActionState.DONE
    assert change_count() == 1


def test_an_unreadable_outcome_is_unverified_and_never_a_success(module_clients, module_sandbox, plan, monkeypatch):
    def effect(context, apply=SET_CAPACITY.apply):
        details = apply(context)
        module_sandbox.state.faults.set(Fault("run", "status", "services.get", status=403))
        return details

    action_type = SET_CAPACITY.__class__(
        SET_CAPACITY.name, SET_CAPACITY.label, SET_CAPACITY.plan, effect, SET_CAPACITY.verify, SET_CAPACITY.changes
    )
    action = execute(module_clients, OPERATOR, action_type, plan)
    assert action.state is ActionState.UNVERIFIED
    assert "could not be read" in action.message


def test_steps_and_refusals_are_logged_without_streaming_and_readable_at_once(module_clients, module_sandbox, plan):
    module_sandbox.state.meter.reset()

    def effect(context, apply=SET_CAPACITY.apply):
        context.report_progress("half of it is done", half="yes")
        (under_way,) = read_by_key(context.clients, plan.key)
        assert (under_way.steps[0][1], under_way.facts["half"]) == ("half of it is done", "yes")
        return apply(context)

    action_type = replace(SET_CAPACITY, apply=effect)
    assert execute(module_clients, OPERATOR, action_type, plan).state is ActionState.DONE
    with pytest.raises(InsufficientRole):
        execute(module_clients, VIEWER, SET_CAPACITY, plan)
    log = read_action_log(module_clients, plan.planned_at, plan.planned_at + timedelta(hours=1))
    assert [a.state for a in log.actions if a.key == plan.key] == [ActionState.DENIED, ActionState.DONE]
    assert not module_sandbox.state.meter.calls["bigquery.TableDataService.insertAll"], (
        "streamed rows are in no listing"
    )


def test_every_log_row_is_self_contained(module_clients, plan):
    action = execute(module_clients, OPERATOR, SET_CAPACITY, plan, "to see")
    for row in query_catalog.run_query(module_clients, "actions.by_id", action_id=action.action_id).rows:
        assert (row["actor"], row["role"], row["verb"], row["target"], row["reason"]) == (
            "nora", "operator", "scaling.set", "prediction-worker", "to see",
        )  # fmt: skip
        assert json.loads(row["plan"] or "null")["title"] == plan.title


def test_a_second_client_with_the_sandbox_clock_reads_the_same_log(module_sandbox, module_clients, plan):
    action = execute(module_clients, OPERATOR, SET_CAPACITY, plan)
    other_clients = connect(settings_as(module_sandbox, "act"))
    assert read_by_key(other_clients, plan.key)[0] == action


def test_scaling_down_at_the_emergency_limit_is_no_action(module_clients):
    execute(module_clients, OPERATOR, SCALE_DOWN, SCALE_DOWN.plan(module_clients, {}))
    assert [guard.name for guard in SCALE_DOWN.plan(module_clients, {}).failed_guards] == ["change required"]
