"""Scaling through the real Cloud Run client: what it changes, what it refuses, and that the original values are never lost."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from services.action_registry import find_undo
from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.actions.plan import Confirmation
from services.auth.roles import Actor, InsufficientRole, Role
from services.core.clock import OffsetClock
from services.core.errors import InvalidInput
from services.core.result import Health
from services.sandbox.common.fault_injection import Fault
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY, apply_due_reverts
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import CapacityState, read_service_capacities, read_worker_capacity
from services.scaling.deploys import read_deploy_history
from services.scaling.move_traffic import MOVE_TRAFFIC
from tests.support.actors import OPERATOR, VIEWER


@pytest.fixture
def normal_capacity_clients(module_clients, module_sandbox):
    """The worker as a deploy leaves it: 20 × 5 on the revision, no annotations."""
    _deploy(module_sandbox, 20, 5, "template,annotations,scaling")
    _wait_for_rollout(module_clients)
    assert read_worker_capacity(module_clients).actual == CapacitySetting(None, 20, 5)
    return module_clients


def _wait_for_rollout(clients):
    while read_worker_capacity(clients).rolling_out:
        time.sleep(0.02)


def _worker_state(clients):
    worker = next(s for s in read_service_capacities(clients).services if s.writes_predictions)
    return worker.max_instances, worker.concurrency, worker.state, worker.health


def _deploy(own_sandbox, instances, requests, mask="template"):
    """What a deploy does behind our back: a new revision with its own numbers."""
    name = next(n for n in own_sandbox.state.cloud_run.services if n.endswith("prediction-worker"))
    template = {**own_sandbox.state.cloud_run.services[name]["template"], "maxInstanceRequestConcurrency": requests}
    body = {"template": {**template, "scaling": {"maxInstanceCount": instances}}}
    own_sandbox.state.cloud_run.patch(name, body, mask, False)


def test_the_emergency_limit_is_restored_to_the_configured_capacity_when_none_was_saved(
    module_clients, plan_and_execute
):
    before = read_worker_capacity(module_clients)
    assert (before.actual, before.annotations.normal) == (CapacitySetting(None, 4, 3), None)
    plan = RESTORE_CAPACITY.plan(module_clients, {})
    assert "No normal values saved on the service" in " ".join(plan.warnings)
    assert plan.confirmation is Confirmation.TYPED, "as much as Set 20 × 5 asks"
    with pytest.raises(ActionRefused, match="must be typed"):
        execute(module_clients, OPERATOR, RESTORE_CAPACITY, plan, "calm again")
    restored = execute(module_clients, OPERATOR, RESTORE_CAPACITY, plan, "calm again", "prediction-worker")
    assert restored.state is ActionState.DONE
    assert read_worker_capacity(module_clients).actual == CapacitySetting(None, 20, 5)
    deploys = [d for d in read_deploy_history(module_clients).deploys if d.service == "prediction-worker"]
    assert [deploy.capacity_text for deploy in deploys] == ["20 × 5", "4 × 3", "20 × 5"]
    assert f"{deploys[1].at:%d %H:%M}" == "30 01:20"  # the deploy of the emergency, which no longer serves


def test_scaling_down_changes_the_service_maximum_and_not_the_revision_maximum(
    normal_capacity_clients, plan_and_execute
):
    scaled_down = plan_and_execute(SCALE_DOWN)
    assert scaled_down.state is ActionState.DONE, scaled_down.message
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(4, 20, 3)
    assert scaled_down.facts["after"]["service maximum"] == 4
    assert read_worker_capacity(normal_capacity_clients).revision in scaled_down.message


def test_a_change_of_instances_alone_creates_no_revision(normal_capacity_clients, plan_and_execute):
    revision = read_worker_capacity(normal_capacity_clients).revision
    plan = SET_CAPACITY.plan(normal_capacity_clients, {"instances": 8, "requests": 5})
    assert "1 Cloud Run update, effective immediately." in plan.cost
    plan_and_execute(SET_CAPACITY, "fewer", "prediction-worker", instances=8, requests=5)
    assert (
        read_worker_capacity(normal_capacity_clients).revision,
        read_worker_capacity(normal_capacity_clients).actual,
    ) == (revision, CapacitySetting(8, 20, 5))


def test_a_change_of_concurrency_waits_for_the_new_revision(normal_capacity_clients, plan_and_execute):
    revision = read_worker_capacity(normal_capacity_clients).revision
    scaled = plan_and_execute(SET_CAPACITY, instances=4, requests=2)
    after = read_worker_capacity(normal_capacity_clients)
    assert after.revision != revision
    assert not after.rolling_out
    assert scaled.state is ActionState.DONE
    assert any("Rolling out" in sentence for _, sentence in scaled.steps)


def test_restore_after_scaling_down_twice_returns_the_original_values(normal_capacity_clients, plan_and_execute):
    plan_and_execute(SET_CAPACITY, instances=10, requests=4)
    plan_and_execute(SCALE_DOWN)
    assert read_worker_capacity(normal_capacity_clients).annotations.normal == CapacitySetting(None, 20, 5)
    plan_and_execute(RESTORE_CAPACITY)
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(None, 20, 5)
    assert read_worker_capacity(normal_capacity_clients).annotations.normal is None


def test_a_worker_restored_to_its_recorded_30_by_5_is_at_its_normal_and_not_drifted(
    normal_capacity_clients, module_sandbox, plan_and_execute
):
    _deploy(module_sandbox, 30, 5)
    _wait_for_rollout(normal_capacity_clients)
    plan_and_execute(SCALE_DOWN)
    _wait_for_rollout(normal_capacity_clients)
    assert _worker_state(normal_capacity_clients) == (4, 3, CapacityState.EMERGENCY, Health.WARNING)
    plan_and_execute(RESTORE_CAPACITY)
    assert _worker_state(normal_capacity_clients) == (30, 5, CapacityState.NORMAL, Health.OK)


def test_a_deploy_after_a_restore_is_drift_and_the_next_emergency_limit_saves_the_deployed_values(
    normal_capacity_clients, module_sandbox, plan_and_execute
):
    plan_and_execute(SCALE_DOWN)
    plan_and_execute(RESTORE_CAPACITY)
    _deploy(module_sandbox, 40, 5)
    _wait_for_rollout(normal_capacity_clients)
    assert _worker_state(normal_capacity_clients) == (40, 5, CapacityState.DRIFTED, Health.WARNING)
    plan_and_execute(SCALE_DOWN)
    assert read_worker_capacity(normal_capacity_clients).annotations.normal == CapacitySetting(None, 40, 5)


@pytest.mark.parametrize(("instances", "requests"), [(0, 5), (101, 1), (4, 0), (4, 81), (100, 4)])
def test_values_outside_the_limits_are_refused_by_the_server(
    normal_capacity_clients, plan_and_execute, recorded_actions, instances, requests
):
    with pytest.raises(ActionRefused, match="allowed are 1–100 instances"):
        plan_and_execute(SET_CAPACITY, "I want to", "prediction-worker", instances=instances, requests=requests)
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(None, 20, 5)
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]


@pytest.mark.parametrize("value", [None, "4", 3.5, True])
def test_a_value_that_is_no_integer_is_never_planned(module_clients, value):
    with pytest.raises(InvalidInput, match="whole number"):
        SET_CAPACITY.plan(module_clients, {"instances": value, "requests": 3})


def test_an_etag_change_between_plan_and_apply_is_refused_with_the_difference(
    normal_capacity_clients, module_sandbox, recorded_actions
):
    plan = SCALE_DOWN.plan(normal_capacity_clients, {})
    _deploy(module_sandbox, 15, 5)
    _wait_for_rollout(normal_capacity_clients)
    with pytest.raises(ActionRefused, match="revision maximum: 20 → 15"):
        execute(normal_capacity_clients, OPERATOR, SCALE_DOWN, plan)
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(None, 15, 5)
    assert [(action.state, action.ended_at is not None) for action in recorded_actions()] == [
        (ActionState.REFUSED, True)
    ]


def test_a_last_moment_change_is_refused_by_cloud_run(normal_capacity_clients, module_sandbox, monkeypatch):
    plan = SCALE_DOWN.plan(normal_capacity_clients, {})

    run = module_sandbox.state.cloud_run
    original_patch = run.patch
    monkeypatch.setattr(
        run, "patch", lambda name, body, *rest: original_patch(name, {**body, "etag": '"older"'}, *rest)
    )
    action = execute(normal_capacity_clients, OPERATOR, SCALE_DOWN, plan)
    assert action.state is ActionState.FAILED
    assert action.message.startswith("prediction-worker was changed since this plan; Cloud Run rejected")
    assert (
        read_worker_capacity(normal_capacity_clients).actual.capacity
        == plan.preconditions["now"]["revision maximum"] * 5
    )


def test_a_later_deploy_that_resets_the_capacity_is_shown_as_drift(
    normal_capacity_clients, plan_and_execute, module_sandbox
):
    plan_and_execute(SCALE_DOWN)
    assert read_worker_capacity(normal_capacity_clients).drift == ""
    _deploy(module_sandbox, 20, 5)
    _wait_for_rollout(normal_capacity_clients)
    assert "last set to 4 × 3 by nora, now 4 × 5" in read_worker_capacity(normal_capacity_clients).drift


def test_a_viewer_is_denied_and_that_is_recorded(normal_capacity_clients, recorded_actions):
    with pytest.raises(InsufficientRole):
        execute(normal_capacity_clients, VIEWER, SCALE_DOWN, SCALE_DOWN.plan(normal_capacity_clients, {}))
    assert [(action.actor, action.state) for action in recorded_actions()] == [("vic", ActionState.DENIED)]


def test_an_emergency_limit_with_a_revert_time_is_reverted_when_it_is_due(
    normal_capacity_clients, plan_and_execute, module_sandbox, recorded_actions
):
    revert_at = normal_capacity_clients.now() + timedelta(minutes=5)
    plan_and_execute(SCALE_DOWN, revert_at=revert_at.isoformat())
    watchdog = Actor("watchdog", Role.OPERATOR)
    assert read_worker_capacity(normal_capacity_clients).annotations.revert_at == revert_at
    assert apply_due_reverts(normal_capacity_clients, watchdog) is None, "its time has not come"
    later = replace(normal_capacity_clients, clock=OffsetClock.starting_at(revert_at))
    revert = apply_due_reverts(later, watchdog)
    assert revert is not None
    assert revert.state is ActionState.DONE
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(None, 20, 5)
    assert [a.actor for a in recorded_actions() if a.action_name == "scaling.restore"] == ["watchdog"]
    assert apply_due_reverts(later, watchdog) is None


def test_capacity_beyond_the_dml_limit_needs_a_reason_and_the_typed_service_name(
    normal_capacity_clients, plan_and_execute
):
    plan_and_execute(SCALE_DOWN)
    with pytest.raises(ActionRefused, match="a reason is required"):
        plan_and_execute(SET_CAPACITY, reason="", instances=10, requests=5)
    with pytest.raises(ActionRefused, match="must be typed"):
        plan_and_execute(SET_CAPACITY, reason="because", typed="prediction-coordinator", instances=10, requests=5)


PINNED = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "percent": 100}
LATEST = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}


def _set_traffic(clients, own_sandbox, *targets):
    """What `gcloud run services update-traffic` does."""
    name = next(n for n in own_sandbox.state.cloud_run.services if n.endswith("prediction-worker"))
    own_sandbox.state.cloud_run.patch(name, {"traffic": list(targets)}, "traffic", False)
    _wait_for_rollout(clients)


@pytest.fixture
def pinned_clients(normal_capacity_clients, module_sandbox):
    """The worker rolled back: all traffic is pinned to the 20 × 5 revision, and a deploy at 40 × 8 does not serve."""
    revision = read_worker_capacity(normal_capacity_clients).revision
    _set_traffic(normal_capacity_clients, module_sandbox, {**PINNED, "revision": revision})
    _deploy(module_sandbox, 40, 8)
    _wait_for_rollout(normal_capacity_clients)
    yield normal_capacity_clients
    _set_traffic(normal_capacity_clients, module_sandbox, LATEST)


def test_with_pinned_traffic_the_capacity_is_that_of_the_revision_that_serves(pinned_clients, module_sandbox):
    worker = read_worker_capacity(pinned_clients)
    assert worker.actual == CapacitySetting(None, 20, 5)
    shown = next(s for s in read_service_capacities(pinned_clients).services if s.writes_predictions)
    assert (shown.actual, shown.revision, shown.follows_latest) == (worker.actual, worker.revision, False)
    assert shown.capacity == module_sandbox.state.cloud_run.capacity(pinned_clients.service_name("prediction-worker"))


def test_a_change_that_needs_a_revision_is_refused_while_traffic_is_pinned(pinned_clients, plan_and_execute):
    revision = read_worker_capacity(pinned_clients).revision
    message = f"pinned to {revision}: a new revision would not serve.*update-traffic prediction-worker --to-latest"
    with pytest.raises(ActionRefused, match=message):
        plan_and_execute(SET_CAPACITY, instances=4, requests=3)
    assert read_worker_capacity(pinned_clients).actual == CapacitySetting(None, 20, 5)


def test_the_traffic_is_moved_recorded_and_moved_back(pinned_clients, plan_and_execute, module_sandbox):
    revision, name = read_worker_capacity(pinned_clients).revision, pinned_clients.service_name("prediction-worker")
    moved = plan_and_execute(MOVE_TRAFFIC, typed="prediction-worker")
    assert (moved.state, module_sandbox.state.cloud_run.capacity(name)) == (ActionState.DONE, 320), moved.message
    undo = find_undo(moved, [moved], pinned_clients.now())
    assert undo is not None
    back = plan_and_execute(undo.action_type, **undo.args)
    assert find_undo(moved, [back, moved], pinned_clients.now()) is None
    assert (back.state, read_worker_capacity(pinned_clients).revision) == (ActionState.DONE, revision), back.message


def test_pinned_traffic_takes_a_change_of_the_service_maximum_at_once(pinned_clients, plan_and_execute, module_sandbox):
    changed = plan_and_execute(SET_CAPACITY, instances=4, requests=5)
    assert changed.state is ActionState.DONE, changed.message
    assert read_worker_capacity(pinned_clients).actual == CapacitySetting(4, 20, 5)
    assert module_sandbox.state.cloud_run.capacity(pinned_clients.service_name("prediction-worker")) == 20


def test_split_traffic_counts_what_both_revisions_may_take_together(normal_capacity_clients, module_sandbox):
    old = read_worker_capacity(normal_capacity_clients).revision
    _deploy(module_sandbox, 10, 2)
    _wait_for_rollout(normal_capacity_clients)
    new = read_worker_capacity(normal_capacity_clients).revision
    half = {**PINNED, "percent": 50}
    _set_traffic(normal_capacity_clients, module_sandbox, {**half, "revision": old}, {**half, "revision": new})
    split = read_worker_capacity(normal_capacity_clients)
    _set_traffic(normal_capacity_clients, module_sandbox, LATEST)
    assert split.actual == CapacitySetting(None, 30, 5), "never less than what may be written at once"
    assert split.revision == f"{old} (50 %), {new} (50 %)"


def test_a_revision_that_does_not_start_is_a_failure_with_its_reason(
    normal_capacity_clients, plan_and_execute, module_sandbox
):
    module_sandbox.state.cloud_run.rollout_error = "The user-provided container failed to start."
    try:
        failed = plan_and_execute(SCALE_DOWN)
    finally:
        module_sandbox.state.cloud_run.rollout_error = ""
    assert failed.state is ActionState.FAILED
    assert "is not ready and cannot serve traffic. The user-provided container failed to start." in failed.message
    worker = read_worker_capacity(normal_capacity_clients)
    assert (worker.actual, worker.rolling_out) == (CapacitySetting(4, 20, 5), False), "the old revision serves"


def test_restoring_a_revision_without_a_maximum_ends_at_the_servers_default(
    normal_capacity_clients, plan_and_execute, module_sandbox
):
    _deploy(module_sandbox, 0, 5)
    _wait_for_rollout(normal_capacity_clients)
    assert read_worker_capacity(normal_capacity_clients).actual == CapacitySetting(None, 100, 5)
    plan_and_execute(SCALE_DOWN)
    restore = RESTORE_CAPACITY.plan(normal_capacity_clients, {})
    assert [guard.message for guard in restore.guards if not guard.ok] == [
        "100 × 5: allowed are 1–100 instances, concurrency 1–80, at most 300 concurrent requests."
    ]


def test_the_operation_is_never_asked_so_that_it_needs_no_role(
    normal_capacity_clients, plan_and_execute, module_sandbox
):
    module_sandbox.state.faults.set(Fault("run", "status", "operations.get", status=403))
    assert plan_and_execute(SCALE_DOWN).state is ActionState.DONE
