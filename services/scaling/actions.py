"""Scaling: narrow the workers in an emergency, restore them, set other widths, and take a narrowing back by itself."""

from __future__ import annotations

import time

from services.actions.executor import execute
from services.actions.log_reader import Action, ActionState
from services.actions.plan import Plan
from services.actions.verb import ActionContext, ActionType, Details, Verification
from services.auth.roles import Actor
from services.gcp.clients import Clients
from services.scaling.annotations import CapacitySetting
from services.scaling.plan import parse_revert_at, plan_restore, plan_scale_down, plan_set_capacity
from services.scaling.worker_width import (
    EMERGENCY_CAPACITY,
    annotations_for,
    format_time,
    get_service,
    read_worker_capacity,
    to_display,
    to_worker_capacity,
    update_service,
)

ROLLOUT_TIMEOUT_S, POLL_INTERVAL_S = 180, 1.0
_LEVELS = ("service", "revision")


def _planned_setting(plan: Plan) -> CapacitySetting:
    numbers = plan.observed["wanted"]
    maxima = [
        None if numbers[f"{level} maximum"] == "not set" else int(numbers[f"{level} maximum"]) for level in _LEVELS
    ]
    return CapacitySetting(maxima[0], maxima[1], int(numbers["requests per instance"]))


def _apply(context: ActionContext) -> Details:
    clients, plan, target = context.clients, context.plan, _planned_setting(context.plan)
    worker = read_worker_capacity(clients)
    revert_at = parse_revert_at(plan.args)
    annotations = (
        {}
        if plan.verb == "scaling.restore"
        else annotations_for(worker, target, context.actor.name, revert_at.isoformat() if revert_at else "")
    )
    updated = to_worker_capacity(
        clients, update_service(clients, worker, plan.observed["now"]["etag"], target, annotations)
    )
    if updated.rolling_out:
        context.report_progress("The new revision is being rolled out.")
    _wait_for_rollout(clients)
    return {"etag before": plan.observed["now"]["etag"]}


def _wait_for_rollout(clients: Clients) -> None:
    deadline = time.monotonic() + ROLLOUT_TIMEOUT_S
    while read_worker_capacity(clients).rolling_out and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    worker = to_worker_capacity(clients, get_service(clients))
    target, after = _planned_setting(plan), {**to_display(worker.actual), "revision": worker.revision}
    if worker.actual != target:
        return Verification(ActionState.FAILED, f"{worker.service} is {worker.actual}, not {target}.", after)
    if worker.rolling_out:
        return Verification(
            ActionState.IN_PROGRESS,
            f"{worker.service} is set to {target}, but its new revision does not serve yet.",
            after,
        )
    return Verification(
        ActionState.DONE,
        f"{worker.service} takes {target} = {target.capacity} requests at once; {worker.revision} serves.",
        after,
    )


SCALE_DOWN = ActionType(
    "scaling.narrow", f"Narrow to {EMERGENCY_CAPACITY[0]} × {EMERGENCY_CAPACITY[1]}", plan_scale_down, _apply, _verify
)
RESTORE_CAPACITY = ActionType("scaling.restore", "Restore", plan_restore, _apply, _verify)
SET_CAPACITY = ActionType("scaling.set", "Set width", plan_set_capacity, _apply, _verify)


def apply_due_reverts(clients: Clients, actor: Actor) -> Action | None:
    """Restore the worker if the time noted on it has come; None when there is nothing to revert.

    Whoever looks may call it: of several at once one acts. After somebody else changed the width it is left alone.
    """
    worker = read_worker_capacity(clients)
    revert_at = worker.annotations.revert_at
    if revert_at is None or clients.now() < revert_at or worker.drift:
        return None
    plan = plan_restore(clients, {})
    return execute(
        clients, actor, RESTORE_CAPACITY, plan, reason=f"The time to revert, {format_time(revert_at)}, has come."
    )
