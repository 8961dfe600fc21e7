"""Plans for the worker's capacity: to what, within which limits, what it would mean, and the commands that do the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.actions.plan import TITLE_SEPARATOR, Change, Confirmation, Figure, Guard, Params, Plan
from services.core.commands import gcloud_command
from services.core.errors import InvalidInput
from services.core.result import DataSource
from services.gcp.clients import Clients
from services.policy.dml_limits import EMERGENCY_CAPACITY, EMERGENCY_CAPACITY_TEXT, MAX_OUTSTANDING_DML
from services.scaling.annotations import CapacitySetting, format_capacity
from services.scaling.capacity import (
    MAX_CAPACITY,
    MAX_CONCURRENCY,
    MAX_INSTANCES,
    MIN_CONCURRENCY,
    MIN_INSTANCES,
    WorkerCapacity,
    format_time,
    needs_new_revision,
    normal_setting,
    read_worker_capacity,
    target_setting,
    to_display,
)
from services.scaling.contention import ContentionEstimate, confirmation_for, simulate_contention

MAX_REVERT_AFTER = timedelta(hours=24)
MOVE_TRAFFIC_LABEL = "Move traffic to the latest revision"


@dataclass(frozen=True)
class _ScalingRequest:
    """The capacity to reach: `target` is what is set, `requested` the instances × concurrency behind it."""

    action_name: str
    title: str
    target: CapacitySetting
    requested: tuple[int | None, int]
    is_restore: bool = False


def plan_scale_down(clients: Clients, args: Params) -> Plan:
    """Down to the emergency capacity, by the service's maximum alone where traffic is pinned; `args` may have an ISO time `revert_at`."""
    worker = read_worker_capacity(clients)
    capacity = emergency_capacity(worker)
    title = f"Reduce {worker.service} to {format_capacity(*capacity)}"
    return _plan(
        clients, worker, args, _ScalingRequest("scaling.narrow", title, target_setting(worker, *capacity), capacity)
    )


def emergency_capacity(worker: WorkerCapacity) -> tuple[int, int]:
    """The emergency's instances × concurrency; with pinned traffic as many requests by fewer instances, which needs no revision."""
    actual, follows = worker.actual, worker.traffic.follows_latest
    if follows or not needs_new_revision(actual, target_setting(worker, *EMERGENCY_CAPACITY)):
        return EMERGENCY_CAPACITY
    instances = max(1, math.prod(EMERGENCY_CAPACITY) // actual.concurrency)
    return min(instances, actual.instances or instances), actual.concurrency


def plan_restore(clients: Clients, args: Params) -> Plan:
    """Back to the normal values that are annotated on the service."""
    worker = read_worker_capacity(clients)
    target = normal_setting(worker)
    request = _ScalingRequest(
        "scaling.restore",
        f"Restore {worker.service} to {target}",
        target,
        (target.instances, target.concurrency),
        is_restore=True,
    )
    return _plan(clients, worker, args, request)


def plan_set_capacity(clients: Clients, args: Params) -> Plan:
    """To the requested `instances` and `requests`; raises InvalidInput when they are not whole numbers."""
    instances, concurrency = _require_int(args, "instances"), _require_int(args, "requests")
    worker = read_worker_capacity(clients)
    request = _ScalingRequest(
        "scaling.set",
        f"Set {worker.service} to {format_capacity(instances, concurrency)}",
        target_setting(worker, instances, concurrency),
        (instances, concurrency),
    )
    return _plan(clients, worker, args, request)


def _plan(clients: Clients, worker: WorkerCapacity, args: Params, request: _ScalingRequest) -> Plan:
    revert_at, now = parse_revert_at(args), clients.now()
    before, after = to_display(worker.actual), to_display(request.target)
    creates_revision = needs_new_revision(worker.actual, request.target)
    confirmation, typed = confirmation_for(worker.actual.capacity, request.target.capacity, worker.service)
    estimate = _estimate(request.target)
    return Plan(
        action_name=request.action_name,
        target=worker.service,
        title=request.title + (f"{TITLE_SEPARATOR}until {format_time(revert_at)}" if revert_at else ""),
        args=dict(args),
        preconditions={
            "now": {**before, "etag": worker.etag},
            "noted": str(worker.annotations.normal),
            "wanted": after,
        },
        figures=tuple(_figures(worker.actual, request.target)),
        changes=tuple(_changes(worker, request.target, revert_at, creates_revision)),
        guards=(
            *_limit_guards(request),
            *_state_guards(worker, request),
            _minimum_guard(clients, worker, request.target),
            _traffic_guard(clients, worker, creates_revision),
            _revert_guard(revert_at, now),
        ),
        planned_at=now,
        undo="Undo with Restore; the previous values are saved as annotations on the service."
        if not request.is_restore
        else f"Reduce to {EMERGENCY_CAPACITY_TEXT} again.",
        cost="1 Cloud Run update"
        + ("; a new revision takes traffic in about 1 min. " if creates_revision else ", effective immediately. ")
        + "No BigQuery cost.",
        confirmation=confirmation,
        confirmation_text=typed,
        warnings=tuple(_warnings(worker, request, estimate, confirmation)),
        evidence=(estimate.summary,) if estimate is not None and not estimate.direct_rejected else (),
        commands=tuple(_commands(clients, worker, request, creates_revision)),
        sources=(DataSource(f"Cloud Run, {worker.service}", now),),
    )


def _changes(
    worker: WorkerCapacity, target: CapacitySetting, revert_at: datetime | None, creates_revision: bool
) -> Iterator[Change]:
    before, after = to_display(worker.actual), to_display(target)
    takes_effect = {
        "service maximum": "immediately",
        "revision maximum": "new revision",
        "requests per instance": "new revision",
    }
    for name in before:
        if before[name] != after[name]:
            yield Change(f"{name} ({takes_effect[name]})", str(before[name]), str(after[name]))
    if creates_revision:
        yield Change("serving revision", worker.revision, "new revision when ready")
    if revert_at:
        yield Change("auto-revert", "no", f"at {format_time(revert_at)}")


def _limit_guards(request: _ScalingRequest) -> Iterator[Guard]:
    """The limits, checked where the change is carried out and not only in the form."""
    instances, concurrency = request.requested
    within_limits = instances is not None and MIN_INSTANCES <= instances <= MAX_INSTANCES
    within_limits = within_limits and MIN_CONCURRENCY <= concurrency <= MAX_CONCURRENCY
    yield Guard(
        "within limits",
        within_limits and (instances or 0) * concurrency <= MAX_CAPACITY,
        f"{instances} × {concurrency}: allowed are {MIN_INSTANCES}–{MAX_INSTANCES} instances,"
        f" concurrency {MIN_CONCURRENCY}–{MAX_CONCURRENCY}, at most {MAX_CAPACITY} concurrent requests.",
    )


def _state_guards(worker: WorkerCapacity, request: _ScalingRequest) -> Iterator[Guard]:
    yield Guard(
        "no rollout in progress",
        not worker.rolling_out,
        f"{worker.service} is rolling out another change." if worker.rolling_out else f"{worker.revision} is serving.",
    )
    at_target = (
        worker.actual.instances == request.target.instances and worker.actual.concurrency == request.target.concurrency
    )
    unchanged = worker.actual == request.target or (at_target and not request.is_restore)
    yield Guard(
        "change required",
        not unchanged,
        f"Already at {worker.actual} – no change." if unchanged else f"Now at {worker.actual}.",
    )


def _traffic_guard(clients: Clients, worker: WorkerCapacity, creates_revision: bool) -> Guard:
    """A new revision has to serve, or the change would change nothing: pinned and split traffic stays where it is."""
    name = "traffic follows the latest revision"
    if worker.traffic.follows_latest:
        return Guard(name, True, "A new revision serves when ready.")
    if not creates_revision:
        return Guard(name, True, f"{worker.traffic} keeps serving; the service maximum applies to it too.")
    command = gcloud_command(clients.settings, f"run services update-traffic {worker.service} --to-latest")
    return Guard(
        name,
        False,
        f"The traffic of {worker.service} is pinned to {worker.traffic}: a new revision would not serve."
        f" “{MOVE_TRAFFIC_LABEL}” first ({command}), or change only the instances, which applies immediately.",
    )


def _minimum_guard(clients: Clients, worker: WorkerCapacity, target: CapacitySetting) -> Guard:
    """Cloud Run refuses a maximum below the minimum of the same level."""
    levels = (
        ("service", worker.min_service, target.max_service, "--min"),
        ("revision", worker.min_revision, target.max_revision, "--min-instances"),
    )
    for level, minimum, maximum, flag in levels:
        if maximum is not None and minimum > maximum:
            command = f"{gcloud_command(clients.settings, f'run services update {worker.service}')} {flag}={maximum}"
            text = f"The {level} keeps at least {minimum} instances, more than the new maximum {maximum}."
            return Guard("minimum within the maximum", False, f"{text} Lower its minimum first ({command}).")
    return Guard("minimum within the maximum", True, "No minimum above the new maximum.")


def _revert_guard(revert_at: datetime | None, now: datetime) -> Guard:
    if revert_at is None:
        return Guard("auto-revert time", True, "None: stays until restored.")
    within_window = now < revert_at <= now + MAX_REVERT_AFTER
    return Guard(
        "auto-revert time",
        within_window,
        f"Reverts at {format_time(revert_at)}." if within_window else "The auto-revert time must be within 24 h.",
    )


def _estimate(target: CapacitySetting) -> ContentionEstimate | None:
    return simulate_contention(target.instances, target.concurrency) if target.instances else None


def _figures(before: CapacitySetting, after: CapacitySetting) -> Iterator[Figure]:
    yield Figure(
        "Max concurrent requests",
        _number(before.capacity),
        _number(after.capacity),
        f"limit {MAX_OUTSTANDING_DML} with direct MERGE",
    )
    yield Figure("Max instances", _number(before.instances), _number(after.instances))
    yield Figure("Concurrency per instance", str(before.concurrency), str(after.concurrency))


def _number(value: int | None) -> str:
    return "no limit" if value is None else f"{value:,}"


def _warnings(
    worker: WorkerCapacity, request: _ScalingRequest, estimate: ContentionEstimate | None, confirmation: Confirmation
) -> Iterator[str]:
    if estimate is None or estimate.direct_rejected:
        yield estimate.summary if estimate is not None else "No maximum of instances: writers are unbounded."
    if request.is_restore and worker.annotations.recorded_normal is None:
        yield f"No normal values saved on the service: restoring the configured default {format_capacity(*worker.configured)}."
    if worker.drift:
        yield worker.drift
    if not worker.traffic.follows_latest:
        yield f"Traffic is pinned to {worker.traffic}, not following the latest revision."
    if confirmation is Confirmation.TYPED:
        yield f"Above BigQuery's limit of {MAX_OUTSTANDING_DML} concurrent DML statements: safe only with staged writes."


def _commands(
    clients: Clients, worker: WorkerCapacity, request: _ScalingRequest, creates_revision: bool
) -> Iterator[str]:
    update = f"run services update {worker.service}"
    # --max is out of beta only in gcloud 537 and newer; the beta has it everywhere.
    yield gcloud_command(clients.settings, f"beta {update} --max={request.target.max_service or 'default'}")
    if creates_revision:
        maximum, concurrency = request.target.max_revision or "default", request.target.concurrency
        yield gcloud_command(clients.settings, f"{update} --max-instances={maximum} --concurrency={concurrency}")


def _require_int(args: Params, name: str) -> int:
    value = args.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} must be a whole number, not {value!r}.", "Enter a whole number.")
    return value


def parse_revert_at(args: Params) -> datetime | None:
    """The time at which a change reverts, None when it stays; raises InvalidInput for one without a zone."""
    text = args.get("revert_at") or ""
    try:
        revert_at = datetime.fromisoformat(text) if text else None
    except (TypeError, ValueError):
        raise InvalidInput(f"{text!r} is not a valid time.", "Expected e.g. 2025-12-30T08:00:00+00:00.") from None
    if revert_at is not None and revert_at.tzinfo is None:
        raise InvalidInput(f"{text!r} has no time zone.", "Expected e.g. 2025-12-30T08:00:00+00:00.")
    return revert_at
