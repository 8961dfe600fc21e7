"""Moves a worker's pinned or split traffic to its latest revision, and back to what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.cloud import run_v2

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState, read_action
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.core.commands import gcloud_command
from services.core.errors import InvalidInput, OnCallError
from services.core.result import DataSource
from services.core.sources import CLOUD_RUN
from services.gcp.clients import Clients
from services.scaling.annotations import CapacitySetting
from services.scaling.capacity import get_revisions, get_service, is_settled, to_setting
from services.scaling.contention import confirmation_for, simulate_contention
from services.scaling.plan import MOVE_TRAFFIC_LABEL
from services.scaling.service_update import start_update, wait_until_settled
from services.scaling.traffic import Traffic, parse_targets, read_traffic, to_targets

Target = Mapping[str, Any]  # of a service's traffic: revision (empty: the latest), percent, tag


def plan_move_traffic(clients: Clients, args: Params) -> Plan:
    """All traffic to the latest revision that is ready, whatever capacity that has; `args` are empty. Tags stay."""
    service = get_service(clients, clients.settings.worker_service)
    tags = [{**target, "percent": 0} for target in to_targets(service) if target["tag"] and target["revision"]]
    title = f"Move traffic to the latest revision{TITLE_SEPARATOR}{clients.settings.worker_service}"
    return _plan(clients, service, "scaling.move_traffic", args, title, [_LATEST, *tags])


def plan_undo_move(clients: Clients, args: Params) -> Plan:
    """The traffic as it was before the move with this `action_id`; raises InvalidInput when there was none."""
    action = read_action(clients, str(args.get("action_id") or ""))
    if action is None or action.action_name != MOVE_TRAFFIC.name:
        raise InvalidInput("That action moved no traffic.", "Open it in the action log.")
    service = get_service(clients, clients.settings.worker_service)
    title = f"Move traffic back{TITLE_SEPARATOR}{clients.settings.worker_service}"
    return _plan(clients, service, "scaling.undo_move", args, title, action.plan.preconditions["traffic"])


_LATEST: Target = {"revision": "", "percent": 100, "tag": ""}


def _plan(
    clients: Clients, service: run_v2.Service, action_name: str, args: Params, title: str, targets: Sequence[Target]
) -> Plan:
    name, now = clients.settings.worker_service, clients.now()
    traffic, moved = read_traffic(service), parse_targets(service, targets)
    capacity = to_setting(service, get_revisions(clients, service, traffic))
    moved_capacity, problem = _read_capacity(clients, service, moved)
    confirmation, typed = confirmation_for(capacity.capacity, moved_capacity.capacity, name)
    return Plan(
        action_name=action_name,
        target=name,
        title=title,
        args=dict(args),
        preconditions={"etag": service.etag, "traffic": to_targets(service), "wanted": list(targets)},
        changes=(
            Change("traffic", _describe(traffic), _describe(moved)),
            Change("capacity", str(capacity), str(moved_capacity)),
            Change(
                "max concurrent requests",
                str(capacity.capacity or "no limit"),
                str(moved_capacity.capacity or "no limit"),
            ),
        ),
        guards=tuple(_guards(name, service, traffic, moved, problem)),
        planned_at=now,
        undo="Undo moves it back." if targets[0] == _LATEST else f"“{MOVE_TRAFFIC_LABEL}” again.",
        cost="1 Cloud Run update, no new revision. No BigQuery cost.",
        confirmation=confirmation,
        confirmation_text=typed,
        warnings=tuple(_warnings(service, moved, moved_capacity)),
        commands=(gcloud_command(clients.settings, f"run services update-traffic {name} {_flags(targets)}"),),
        sources=(DataSource(f"Cloud Run, {name}", now),),
    )


def _read_capacity(clients: Clients, service: run_v2.Service, traffic: Traffic) -> tuple[CapacitySetting, str]:
    """What the revisions of a traffic take at once, and why they cannot be read, where they cannot."""
    try:
        return to_setting(service, get_revisions(clients, service, traffic)), ""
    except OnCallError as error:
        return to_setting(service, []), error.message


def _guards(name: str, service: run_v2.Service, now: Traffic, moved: Traffic, problem: str) -> Iterator[Guard]:
    settled = is_settled(service, service.generation)
    yield Guard(
        "no rollout in progress",
        settled,
        "No rollout in progress." if settled else f"{name} is rolling out another change.",
    )
    yield Guard("change required", now != moved, f"Traffic goes to {_describe(now)} now.")
    readable = bool(moved.shares) and not problem
    text = problem or (f"{moved} exists." if moved.shares else f"No revision of {name} is ready.")
    yield Guard("revision exists", readable, text)


def _warnings(service: run_v2.Service, moved: Traffic, capacity: CapacitySetting) -> Iterator[str]:
    if moved.follows_latest and service.latest_created_revision != service.latest_ready_revision:
        yield f"The newest revision is not ready: {moved} is the latest ready one."
    if moved.follows_latest:
        yield f"Traffic was pinned, as after a rollback: make sure that {moved} should serve."
    if capacity.instances:
        yield simulate_contention(capacity.instances, capacity.concurrency).summary


def _describe(traffic: Traffic) -> str:
    return f"{traffic}, the latest" if traffic.follows_latest else str(traffic)


def _flags(targets: Sequence[Target]) -> str:
    if targets[0] == _LATEST:
        return "--to-latest"
    shares = (f"{target['revision'] or 'LATEST'}={target['percent']}" for target in targets if target["percent"])
    return f"--to-revisions={','.join(shares)}"


def _move(context: ActionContext) -> Details:
    clients, plan = context.clients, context.plan
    service = get_service(clients, plan.target)
    kinds = run_v2.TrafficTargetAllocationType
    service.traffic = [
        run_v2.TrafficTarget(
            type_=kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
            if target["revision"]
            else kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST,
            **target,
        )
        for target in plan.preconditions["wanted"]
    ]
    accepted = start_update(clients, service, plan.preconditions["etag"], ["traffic"])
    wait_until_settled(clients, plan.target, accepted.generation)
    return {"traffic before": plan.preconditions["traffic"]}


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """By the traffic that is in effect, not by the one that was asked for."""
    service = get_service(clients, plan.target)
    traffic, wanted = read_traffic(service), parse_targets(service, plan.preconditions["wanted"])
    after = {"traffic": str(traffic)}
    if not is_settled(service, service.generation):
        text = f"Traffic of {plan.target} is still moving: {traffic} is serving."
        return Verification(ActionState.IN_PROGRESS, text, after)
    if traffic != wanted:
        text = f"Traffic of {plan.target} goes to {_describe(traffic)}, not to {_describe(wanted)}."
        return Verification(ActionState.FAILED, f"{text} {service.terminal_condition.message}".strip(), after)
    capacity = to_setting(service, get_revisions(clients, service, traffic))
    text = (
        f"{_describe(traffic)} is serving: {plan.target} allows {capacity.capacity} concurrent requests ({capacity})."
    )
    return Verification(ActionState.DONE, text, after)


MOVE_TRAFFIC = ActionType(
    "scaling.move_traffic", MOVE_TRAFFIC_LABEL, plan_move_traffic, _move, _verify, frozenset((CLOUD_RUN,))
)
UNDO_MOVE_TRAFFIC = ActionType(
    "scaling.undo_move", "Move traffic back", plan_undo_move, _move, _verify, frozenset((CLOUD_RUN,))
)
