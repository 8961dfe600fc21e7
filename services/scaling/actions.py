"""Scaling actions: scale the workers down in an emergency, restore them, set another capacity, revert when it is due."""

from __future__ import annotations

from collections.abc import Mapping

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.executor import execute
from services.actions.log_reader import Action, ActionState
from services.actions.plan import Plan
from services.auth.roles import Actor
from services.core.sources import CLOUD_RUN
from services.gcp.clients import Clients
from services.policy.dml_limits import EMERGENCY_CAPACITY_TEXT
from services.scaling.annotations import (
    ALL_ANNOTATIONS,
    DEFAULT_MAX_INSTANCES,
    NOT_SET,
    CapacitySetting,
    annotations_for_change,
    annotations_for_restore,
)
from services.scaling.capacity import (
    WorkerCapacity,
    format_time,
    get_service,
    needs_new_revision,
    normal_setting,
    read_worker_capacity,
    to_display,
)
from services.scaling.plan import parse_revert_at, plan_restore, plan_scale_down, plan_set_capacity
from services.scaling.service_update import start_update, wait_until_settled

_LEVELS = ("service", "revision")


def _planned_setting(plan: Plan) -> CapacitySetting:
    numbers = plan.preconditions["wanted"]
    maxima = [None if numbers[f"{level} maximum"] == NOT_SET else int(numbers[f"{level} maximum"]) for level in _LEVELS]
    return CapacitySetting(maxima[0], maxima[1] or DEFAULT_MAX_INSTANCES, int(numbers["requests per instance"]))


def _apply(context: ActionContext) -> Details:
    clients, plan, target = context.clients, context.plan, _planned_setting(context.plan)
    worker, etag = read_worker_capacity(clients), plan.preconditions["now"]["etag"]
    generation = _start_update(clients, worker, etag, target, _annotations(worker, plan, target, context.actor))
    if needs_new_revision(worker.actual, target):
        context.report_progress("Rolling out the new revision.")
    wait_until_settled(clients, worker.service, generation)
    return {"etag before": etag}


def _annotations(worker: WorkerCapacity, plan: Plan, target: CapacitySetting, actor: Actor) -> dict[str, str]:
    """The annotations to set. Normal values annotated before are kept, however often the service is scaled down."""
    if plan.action_name == RESTORE_CAPACITY.name:
        return annotations_for_restore(target)
    revert_at = parse_revert_at(plan.args)
    return annotations_for_change(
        normal_setting(worker), target, actor.name, revert_at.isoformat() if revert_at else ""
    )


def _start_update(
    clients: Clients, worker: WorkerCapacity, etag: str, target: CapacitySetting, annotations: Mapping[str, str]
) -> int:
    """Change the worker in one call; the generation that Cloud Run accepted. Raises as `start_update` does."""
    service = get_service(clients, worker.service)
    other_annotations = {name: text for name, text in service.annotations.items() if name not in ALL_ANNOTATIONS}
    service.annotations = {**other_annotations, **annotations}
    service.scaling.max_instance_count = target.max_service or 0
    mask_paths = ["annotations", "scaling.max_instance_count"]
    if needs_new_revision(worker.actual, target):
        service.template.scaling.max_instance_count = target.max_revision or 0
        service.template.max_instance_request_concurrency = target.concurrency
        service.template.revision = ""  # a name from the last deploy would name two revisions
        mask_paths += [
            "template.scaling.max_instance_count",
            "template.max_instance_request_concurrency",
            "template.revision",
        ]
    return start_update(clients, service, etag, mask_paths).generation


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    worker = read_worker_capacity(clients)
    target, after = _planned_setting(plan), {**to_display(worker.actual), "revision": worker.revision}
    if worker.rolling_out:
        text = f"{worker.service} is set to {target}; Cloud Run is still rolling it out."
        return Verification(ActionState.IN_PROGRESS, text, after)
    if worker.actual != target:
        problem = f" {worker.rollout_problem}" if worker.rollout_problem else ""
        text = f"{worker.service} is {worker.actual}, not {target}: {worker.revision} is serving.{problem}"
        return Verification(ActionState.FAILED, text, after)
    return Verification(
        ActionState.DONE,
        f"{worker.service} now allows {target.capacity} concurrent requests ({target}); {worker.revision} is serving.",
        after,
    )


CHANGES = frozenset((CLOUD_RUN,))
SCALE_DOWN = ActionType(
    "scaling.narrow", f"Reduce to {EMERGENCY_CAPACITY_TEXT}", plan_scale_down, _apply, _verify, CHANGES
)
RESTORE_CAPACITY = ActionType("scaling.restore", "Restore normal capacity", plan_restore, _apply, _verify, CHANGES)
SET_CAPACITY = ActionType("scaling.set", "Apply capacity", plan_set_capacity, _apply, _verify, CHANGES)


def apply_due_reverts(clients: Clients, actor: Actor) -> Action | None:
    """Restore the worker if the time annotated on it has come; None when there is nothing to revert.

    It may be called at any time, concurrently too: one caller acts. A capacity that was changed since is left alone.
    """
    worker = read_worker_capacity(clients)
    revert_at = worker.annotations.revert_at
    if revert_at is None or clients.now() < revert_at or worker.drift:
        return None
    plan = plan_restore(clients, {})
    reason = f"Auto-revert time reached ({format_time(revert_at)})."
    # Nobody is there to type: whoever set the time has agreed to these values.
    return execute(clients, actor, RESTORE_CAPACITY, plan, reason, plan.confirmation_text)
