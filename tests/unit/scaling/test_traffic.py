"""A worker whose traffic is pinned or split: what serves is judged, the emergency works, and the traffic can be moved."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from services.actions.action_type import ActionContext
from services.actions.log_reader import ActionState
from services.actions.plan import Confirmation, plan_from_json, plan_to_json
from services.core.errors import InvalidInput, SourceUnavailable
from services.scaling import actions, move_traffic, service_update
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import read_worker_capacity
from tests.support.actors import OPERATOR
from tests.support.run_in_memory import RunInMemory

OLD = "prediction-worker-00010-k7d"  # 20 × 5; the latest is the emergency's, 4 × 3


@pytest.fixture
def worker(monkeypatch):
    worker = RunInMemory()
    monkeypatch.setattr("services.scaling.service_update.time.sleep", worker.clock.sleep)
    return worker


def execute(worker, action_type, plan):
    """Apply and verify a plan as the executor does, which is not under test."""
    context = ActionContext(worker.clients, OPERATOR, plan_from_json(plan_to_json(plan)), "a1", lambda *_, **__: None)
    details = action_type.apply(context)
    return action_type.verify(worker.clients, context.plan, details)


def test_the_emergency_with_pinned_traffic_limits_the_instances_alone_and_at_once(worker):
    worker.set_traffic(**{OLD: 100})
    plan = actions.SCALE_DOWN.plan(worker.clients, {})
    assert plan.title == "Reduce prediction-worker to 2 × 5"
    assert plan.failed_guards == ()
    assert f"Traffic is pinned to {OLD}, not following the latest revision." in plan.warnings
    outcome = execute(worker, actions.SCALE_DOWN, plan)
    assert (outcome.state, outcome.message) == (
        ActionState.DONE,
        f"prediction-worker now allows 10 concurrent requests (2 × 5); {OLD} is serving.",
    )
    assert worker.calls == [["annotations", "scaling.max_instance_count"]], "no revision, which would not serve"
    assert worker.run.capacity(worker.name) == 10
    restored = execute(worker, actions.RESTORE_CAPACITY, actions.RESTORE_CAPACITY.plan(worker.clients, {}))
    assert restored.state is ActionState.DONE
    assert worker.run.capacity(worker.name) == 100


@pytest.mark.parametrize(
    ("instances", "concurrency", "title", "stopped"),
    [
        (20, 80, "Reduce prediction-worker to 1 × 80", []),
        (1, 5, "Reduce prediction-worker to 1 × 5", ["change required"]),
    ],
)
def test_the_emergency_with_pinned_traffic_never_widens_and_keeps_one_instance(
    worker, instances, concurrency, title, stopped
):
    worker.set_traffic(**{worker.deploy(instances, concurrency): 100})
    plan = actions.SCALE_DOWN.plan(worker.clients, {})
    assert (plan.title, [guard.name for guard in plan.failed_guards]) == (title, stopped)


def test_a_change_that_would_not_serve_offers_to_move_the_traffic(worker):
    worker.set_traffic(**{OLD: 100})
    (guard,) = actions.SET_CAPACITY.plan(worker.clients, {"instances": 4, "requests": 3}).failed_guards
    assert f"pinned to {OLD}: a new revision would not serve" in guard.message
    assert f"“{move_traffic.MOVE_TRAFFIC.label}” first" in guard.message


def test_moving_the_traffic_is_judged_by_what_serves_and_can_be_undone(worker, monkeypatch):
    worker.set_traffic(**{OLD: 75, worker.deploy(10, 2): 25})
    latest = worker.deploy(4, 3)
    before = read_worker_capacity(worker.clients)
    plan = move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    assert [(change.before, change.after) for change in plan.changes][:2] == [
        (before.revision, f"{latest}, the latest"),
        ("30 × 5", "4 × 3"),
    ]
    assert plan.failed_guards == ()
    assert "--to-latest" in plan.commands[0]
    assert plan.commands[0].endswith("--region=us-west2 --project=nba-props-platform")
    outcome = execute(worker, move_traffic.MOVE_TRAFFIC, plan)
    assert (
        outcome.message == f"{latest}, the latest is serving: prediction-worker allows 12 concurrent requests (4 × 3)."
    )
    assert (outcome.state, worker.run.capacity(worker.name)) == (ActionState.DONE, 12)

    recorded = SimpleNamespace(
        action_id="a1", action_name="scaling.move_traffic", plan=plan_from_json(plan_to_json(plan))
    )
    monkeypatch.setattr(move_traffic, "read_action", lambda *_: recorded)
    undo = move_traffic.UNDO_MOVE_TRAFFIC.plan(worker.clients, {"action_id": "a1"})
    assert undo.confirmation is Confirmation.TYPED, "back to 30 × 5, beyond the DML limit"
    assert f"--to-revisions={OLD}=75," in undo.commands[0]
    assert execute(worker, move_traffic.UNDO_MOVE_TRAFFIC, undo).state is ActionState.DONE
    after = read_worker_capacity(worker.clients)
    assert (after.traffic, after.actual) == (before.traffic, before.actual)


def test_a_move_of_traffic_beyond_the_dml_limit_is_typed_and_one_to_where_it_is_stops(worker):
    worker.set_traffic(**{worker.deploy(4, 3): 100})
    worker.deploy(40, 5)
    plan = move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    assert (plan.confirmation, plan.confirmation_text) == (Confirmation.TYPED, "prediction-worker")
    worker.set_traffic()
    again = move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    assert [guard.name for guard in again.failed_guards] == ["change required"]


def test_a_move_stops_while_a_roll_out_is_under_way(worker):
    worker.set_traffic(**{OLD: 100})
    worker.run.patch(worker.name, {"scaling": {"maxInstanceCount": 9}}, "scaling", False)
    plan = move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    assert [guard.name for guard in plan.failed_guards] == ["no rollout in progress"]


def test_a_move_back_to_a_deleted_revision_stops(worker, monkeypatch):
    worker.set_traffic(**{OLD: 100})
    recorded = SimpleNamespace(
        action_name="scaling.move_traffic", plan=move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    )
    monkeypatch.setattr(move_traffic, "read_action", lambda *_: recorded)
    worker.set_traffic()
    del worker.run.revisions[f"{worker.name}/revisions/{OLD}"]
    plan = move_traffic.UNDO_MOVE_TRAFFIC.plan(worker.clients, {"action_id": "a1"})
    (guard,) = plan.failed_guards
    assert (guard.name, "does not exist" in guard.message) == ("revision exists", True)
    recorded.action_name = "scaling.set"
    with pytest.raises(InvalidInput, match="moved no traffic"):
        move_traffic.UNDO_MOVE_TRAFFIC.plan(worker.clients, {"action_id": "a1"})


def test_a_move_that_does_not_take_effect_is_a_failure(worker, monkeypatch):
    worker.set_traffic(**{OLD: 100})
    plan = move_traffic.MOVE_TRAFFIC.plan(worker.clients, {})
    verified_early = move_traffic.MOVE_TRAFFIC.verify(worker.clients, plan, {})
    assert verified_early.state is ActionState.FAILED
    assert f"goes to {OLD}, not to" in verified_early.message
    worker.run.patch(
        worker.name, {"traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]}, "traffic", False
    )
    assert move_traffic.MOVE_TRAFFIC.verify(worker.clients, plan, {}).state is ActionState.IN_PROGRESS


@pytest.mark.parametrize("action_type", [actions.SCALE_DOWN, move_traffic.MOVE_TRAFFIC])
def test_a_stale_etag_is_called_a_conflict_and_changes_nothing(worker, action_type):
    worker.set_traffic(**{OLD: 100})
    plan = action_type.plan(worker.clients, {})
    worker.change({"annotations": {"team": "other"}}, "annotations")
    with pytest.raises(service_update.ServiceChanged) as conflict:
        execute(worker, action_type, plan)
    assert str(conflict.value) == (
        "prediction-worker was changed since this plan; Cloud Run rejected the update, nothing was changed."
        " Retry: the plan is built again."
    )
    assert read_worker_capacity(worker.clients).actual == CapacitySetting(None, 20, 5)


def test_a_change_whose_answer_was_lost_is_waited_for_and_judged_by_the_service(worker):
    worker.deploy(20, 5)
    plan = actions.SCALE_DOWN.plan(worker.clients, {})
    clients, update = worker.clients, worker.clients.run.update_service

    def lose_answer(**kwargs):
        update(**kwargs)
        raise ConnectionError("reset by peer")

    clients.run = SimpleNamespace(get_service=clients.run.get_service, update_service=lose_answer)
    with pytest.raises(SourceUnavailable):
        actions.SCALE_DOWN.apply(ActionContext(clients, OPERATOR, plan, "a1", lambda *_, **__: None))
    assert actions.SCALE_DOWN.verify(clients, plan, {}).state is ActionState.DONE


NORMAL_3_BY_5 = {"on-call/normal-revision-max-instances": "3", "on-call/normal-concurrency": "5"}


@pytest.mark.parametrize(
    ("minimum", "mask", "action_type", "message"),
    [
        (
            {"scaling": {"minInstanceCount": 6}},
            "scaling.min_instance_count",
            actions.SCALE_DOWN,
            r"The service keeps at least 6 instances, more than the new maximum 4\. .*"
            r" --project=nba-props-platform --min=4\)",
        ),
        (
            {"annotations": NORMAL_3_BY_5},
            "annotations",
            actions.RESTORE_CAPACITY,
            r"The revision keeps at least 5 instances, more than the new maximum 3\. .* --min-instances=3\)",
        ),
    ],
)
def test_a_minimum_above_the_new_maximum_stops_the_plan(worker, minimum, mask, action_type, message):
    worker.deploy(20, 5, minInstanceCount=5)
    assert actions.SCALE_DOWN.plan(worker.clients, {}).failed_guards == ()
    worker.change(minimum, mask)
    (guard,) = action_type.plan(worker.clients, {}).failed_guards
    assert re.search(message, guard.message), guard.message
