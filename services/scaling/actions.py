"""Scaling actions: scale the workers down in an emergency, restore them, set another capacity, revert when it is due."""

from __future__ import annotations

import time
from collections.abc import Mapping

from google.cloud import run_v2

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.executor import execute
from services.actions.log_reader import Action, ActionState
from services.actions.plan import Plan
from services.auth.roles import Actor
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.policy.dml_limits import EMERGENCY_CAPACITY_TEXT
from services.scaling.annotations import (
    ALL_ANNOTATIONS,
    NOT_SET,
    CapacitySetting,
    annotations_for_change,
    annotations_for_restore,
)
from services.scaling.capacity import (
    WorkerCapacity,
    format_time,
    get_service,
    normal_setting,
    read_worker_capacity,
    to_display,
    to_worker_capacity,
)
from services.scaling.plan import parse_revert_at, plan_restore, plan_scale_down, plan_set_capacity

ROLLOUT_TIMEOUT_S, POLL_INTERVAL_S = 180, 1.0
_LEVELS = ("service", "revision")


def _planned_setting(plan: Plan) -> CapacitySetting:
    numbers = plan.preconditions["wanted"]
    maxima = [None if numbers[f"{level} maximum"] == NOT_SET else int(numbers[f"{level} maximum"]) for level in _LEVELS]
    return CapacitySetting(maxima[0], maxima[1], int(numbers["requests per instance"]))


def _apply(context: ActionContext) -> Details:
    clients, plan, target = context.clients, context.plan, _planned_setting(context.plan)
    worker, etag = read_worker_capacity(clients), plan.preconditions["now"]["etag"]
    updated = update_service(clients, worker, etag, target, _annotations(worker, plan, target, context.actor))
    if to_worker_capacity(clients, updated).rolling_out:
        context.report_progress("The new revision is being rolled out.")
    _wait_for_rollout(clients)
    return {"etag before": etag}


def _annotations(worker: WorkerCapacity, plan: Plan, target: CapacitySetting, actor: Actor) -> dict[str, str]:
    """What the service is to say of itself. Normal values annotated before are kept, however often it is scaled down."""
    if plan.verb == RESTORE_CAPACITY.name:
        return annotations_for_restore(target)
    revert_at = parse_revert_at(plan.args)
    return annotations_for_change(
        normal_setting(worker), target, actor.name, revert_at.isoformat() if revert_at else ""
    )


def update_service(
    clients: Clients, worker: WorkerCapacity, etag: str, target: CapacitySetting, annotations: Mapping[str, str]
) -> run_v2.Service:
    """Change the worker in one call that Cloud Run refuses when its etag has moved on; raises OnCallError then."""
    service = get_service(clients, worker.service)
    other_annotations = {name: text for name, text in service.annotations.items() if name not in ALL_ANNOTATIONS}
    service.annotations = {**other_annotations, **annotations}
    service.etag = etag
    service.scaling.max_instance_count = target.max_service or 0
    mask_paths = ["annotations", "scaling.max_instance_count"]
    if (target.max_revision, target.concurrency) != (worker.actual.max_revision, worker.actual.concurrency):
        service.template.scaling.max_instance_count = target.max_revision or 0
        service.template.max_instance_request_concurrency = target.concurrency
        service.template.revision = ""  # a name from the last deploy would name two revisions
        mask_paths += [
            "template.scaling.max_instance_count",
            "template.max_instance_request_concurrency",
            "template.revision",
        ]
    with translate_errors("Cloud Run"):
        request = run_v2.UpdateServiceRequest(service=service, update_mask={"paths": mask_paths})
        updated: run_v2.Service = clients.run.update_service(request=request, timeout=60).result(timeout=120)
    return updated


def _wait_for_rollout(clients: Clients) -> None:
    deadline = time.monotonic() + ROLLOUT_TIMEOUT_S
    while read_worker_capacity(clients).rolling_out and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL_S)


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    worker = read_worker_capacity(clients)
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


SCALE_DOWN = ActionType("scaling.narrow", f"Narrow to {EMERGENCY_CAPACITY_TEXT}", plan_scale_down, _apply, _verify)
RESTORE_CAPACITY = ActionType("scaling.restore", "Restore", plan_restore, _apply, _verify)
SET_CAPACITY = ActionType("scaling.set", "Set width", plan_set_capacity, _apply, _verify)


def apply_due_reverts(clients: Clients, actor: Actor) -> Action | None:
    """Restore the worker if the time annotated on it has come; None when there is nothing to revert.

    Anybody may call it at any time: of several at once one acts. A capacity that was changed since is left alone.
    """
    worker = read_worker_capacity(clients)
    revert_at = worker.annotations.revert_at
    if revert_at is None or clients.now() < revert_at or worker.drift:
        return None
    plan = plan_restore(clients, {})
    return execute(
        clients, actor, RESTORE_CAPACITY, plan, reason=f"The time to revert, {format_time(revert_at)}, has come."
    )
