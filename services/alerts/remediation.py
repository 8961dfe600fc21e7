"""Automatic remediation: scale down, resume, consolidate. Each can be disabled on its own; nothing is ever deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import prod

from services.actions.action_type import ActionType
from services.actions.background import BACKGROUND, ActionHandle
from services.actions.executor import execute, recover
from services.actions.log_reader import Action, read_action_log, recent_window
from services.actions.plan import Params
from services.alerts.facts import NightSnapshot, Snapshot
from services.alerts.findings import RuleResult
from services.auth.roles import Actor, Role
from services.batches.ids import parse_staging_table_name
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.policy.concurrency_config import SelfHealingConfig
from services.policy.dml_limits import EMERGENCY_CAPACITY
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.stop import STOP_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY, apply_due_reverts
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.telemetry.dml_jobs import DmlReport, is_contention_error

WATCHDOG_ACTOR = Actor("watchdog", Role.OPERATOR)
COOLDOWN = timedelta(minutes=30)  # the same step on the same target is not repeated sooner
MAX_RESUMES = 3  # of one batch by the watchdog within LOG_WINDOW: a cause that stays is for a person
LOG_WINDOW = timedelta(days=1)
REVERT_AFTER = timedelta(hours=1)  # its own scale-down ends by then, or as soon after as no write is rejected
MAX_STORM_AGE = timedelta(minutes=10)  # an older burst is over: scaling down now would not help
_FINISHABLE = {
    action_type.name: action_type
    for action_type in (
        START_RUN,
        RESUME_BATCH,
        STOP_RUN,
        CONSOLIDATE_BATCH,
        SCALE_DOWN,
        RESTORE_CAPACITY,
        SET_CAPACITY,
    )
}
logger = logging.getLogger("watchdog")


@dataclass(frozen=True)
class Remediation:
    """One action to start, with the rule result that calls for it."""

    action_type: ActionType
    target: str
    params: Params
    reason: str
    alert_key: tuple[str, date | None]  # cause and night of the alert it answers


@dataclass(frozen=True)
class StartedRemediation:
    """A remediation that this check began, or within COOLDOWN an earlier one, of which `handle` is None."""

    remediation: Remediation
    title: str
    started_at: datetime
    handle: ActionHandle | None = None


def plan_remediations(
    results: Iterable[RuleResult], snapshot: Snapshot, self_healing: SelfHealingConfig, now: datetime
) -> tuple[Remediation, ...]:
    """The actions that the firing rules call for. Pure."""
    return tuple(
        remediation
        for result in results
        if result.firing
        for remediation in _remediations_for(result, snapshot, self_healing, now)
    )


def _remediations_for(
    result: RuleResult, snapshot: Snapshot, self_healing: SelfHealingConfig, now: datetime
) -> Iterator[Remediation]:
    rule_name, alert_key = result.rule.name, (result.cause, result.game_date)
    night = next((n for n in snapshot.nights if n.game_date == result.game_date), None)
    batch = night.newest_batch if night else None
    resumable = batch is not None and batch.record_source == "ledger"
    ended = batch is not None and batch.state not in IN_PROGRESS_STATES
    if rule_name == "dml_rejections" and self_healing.auto_reduce_concurrency and night:
        worker = snapshot.worker.value
        if worker is not None and _above_emergency(worker.actual.capacity) and _is_recent(night.writes.value, now):
            revert_at = (now + REVERT_AFTER).replace(second=0, microsecond=0).isoformat()
            yield Remediation(SCALE_DOWN, worker.service, {"revert_at": revert_at}, result.message, alert_key)
    leftovers = _leftover_batch_ids(snapshot, night)
    # Without tables only a resume can finish it: another process has consolidated them, or they are gone.
    failed = batch is not None and batch.state is BatchState.CONSOLIDATION_FAILED
    without_tables = failed and snapshot.staging.value is not None and not leftovers
    if rule_name == "stalled" or (rule_name == "consolidation" and without_tables):
        if self_healing.resume_stalled and resumable:
            params = {"batch_id": result.batch_id}
            yield Remediation(RESUME_BATCH, str(result.game_date), params, result.message, alert_key)
    elif rule_name == "consolidation" and self_healing.consolidate_leftovers and ended:
        for batch_id in leftovers:
            params = {"batch_id": batch_id}
            yield Remediation(CONSOLIDATE_BATCH, batch_id, params, result.message, alert_key)


def _leftover_batch_ids(snapshot: Snapshot, night: NightSnapshot | None) -> list[str]:
    """The batches of a night that have staging tables; not those that an operator has stopped."""
    if night is None or night.batches.value is None:
        return []
    stopped = {batch.batch_id for batch in night.batches.value.batches if batch.state is BatchState.STOPPED}
    names = [parse_staging_table_name(table.name) for table in snapshot.staging.value or ()]
    return sorted({batch_id for batch_id, _, table_date in names if table_date == night.game_date} - stopped)


def _above_emergency(capacity: int | None) -> bool:
    return capacity is None or capacity > prod(EMERGENCY_CAPACITY)


def _is_recent(writes: DmlReport | None, now: datetime) -> bool:
    """Whether the last write rejected for contention is so recent that scaling down still helps."""
    if writes is None:
        return False
    times = [a.at for a in writes.attempts if a.ok is False and is_contention_error(a.message)]
    last_at = max(times, default=writes.alert_at)
    return last_at is not None and now - last_at <= MAX_STORM_AGE


def read_recent_actions(clients: Clients) -> tuple[Action, ...]:
    """The actions of LOG_WINDOW, newest first; of whole days, so that an unchanged log is not read again. Raises OnCallError."""
    return read_action_log(clients, *recent_window(clients.now(), LOG_WINDOW)).actions


def finish_actions(clients: Clients, actions: Iterable[Action]) -> None:
    """Record what came of each action that no process follows: left to the checks, or begun by a process that has died."""
    now = clients.now()
    for action in actions:
        action_type = _FINISHABLE.get(action.action_name)
        unfollowed = action.ended_at is None and (action.is_verified_later or action.is_abandoned(now))
        if action_type is None or not unfollowed:
            continue
        try:
            recover(clients, action_type, action)
        except OnCallError as error:
            logger.warning("%s could not be finished: %s", action.title, error, exc_info=True)


def start_remediations(
    clients: Clients, remediations: Iterable[Remediation], actions: Iterable[Action]
) -> tuple[StartedRemediation, ...]:
    """Start each that is not in `actions` within COOLDOWN, as an action of the watchdog; it runs on beside the next checks."""
    actions, now = tuple(actions), clients.now()
    started = (_start(clients, remediation, actions, now) for remediation in remediations)
    return tuple(remediation for remediation in started if remediation is not None)


def _start(
    clients: Clients, remediation: Remediation, actions: Iterable[Action], now: datetime
) -> StartedRemediation | None:
    """None when somebody else tried the same within COOLDOWN, a guard of its plan fails, or it has been tried often enough."""
    action_type, target = remediation.action_type, remediation.target
    same = [action for action in actions if (action.action_name, action.target) == (action_type.name, target)]
    if recent := [action for action in same if now - action.last_event_at <= COOLDOWN]:
        own = next((action for action in recent if action.actor == WATCHDOG_ACTOR.name), None)
        return StartedRemediation(remediation, own.title, own.started_at) if own is not None else None
    try:
        plan = action_type.plan(clients, remediation.params)
    except OnCallError as error:
        logger.warning("%s of %s could not be planned: %s", action_type.name, target, error, exc_info=True)
        return None
    attempts = sum((action.title, action.actor) == (plan.title, WATCHDOG_ACTOR.name) for action in same)
    if plan.failed_guards or (action_type is RESUME_BATCH and attempts >= MAX_RESUMES):
        return None
    reason = f"Rule firing: {remediation.reason}"
    handle = BACKGROUND.submit(
        plan, WATCHDOG_ACTOR.role, now, lambda: execute(clients, WATCHDOG_ACTOR, action_type, plan, reason, wait=False)
    )
    return StartedRemediation(remediation, handle.title, now, handle)


def apply_reverts_if_calm(clients: Clients, results: Iterable[RuleResult]) -> Action | None:
    """Restore a capacity whose time to revert has come, unless writes are being rejected."""
    if any(result.rule.name == "dml_rejections" and result.firing for result in results):
        return None
    return apply_due_reverts(clients, WATCHDOG_ACTOR)
