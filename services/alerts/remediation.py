"""Automatic remediation: scale down, resume, consolidate. Each can be disabled on its own; nothing is ever deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import prod

from services.actions.action_type import ActionType
from services.actions.background import BACKGROUND, ActionHandle
from services.actions.executor import execute
from services.actions.log_reader import Action, read_action_log
from services.actions.plan import Params
from services.alerts.facts import Snapshot
from services.alerts.findings import RuleResult
from services.auth.roles import Actor, Role
from services.batches.ids import parse_staging_table_name
from services.batches.state import IN_PROGRESS_STATES
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.policy.concurrency_config import SelfHealingConfig
from services.policy.dml_limits import EMERGENCY_CAPACITY
from services.runs.actions import RESUME_BATCH
from services.scaling.actions import SCALE_DOWN, apply_due_reverts
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.telemetry.dml_jobs import DmlReport, is_contention_error

WATCHDOG_ACTOR = Actor("watchdog", Role.OPERATOR)
COOLDOWN = timedelta(minutes=30)  # the same step on the same target is not repeated sooner
REVERT_AFTER = timedelta(hours=1)  # its own scale-down ends by then, or as soon after as no write is rejected
MAX_STORM_AGE = timedelta(minutes=10)  # an older burst is over: scaling down now would not help
logger = logging.getLogger("watchdog")


@dataclass(frozen=True)
class Remediation:
    """One action to start, with the rule result that calls for it."""

    action_type: ActionType
    target: str
    params: Params
    reason: str
    alert_key: tuple[str, date | None]  # cause and night of the alert it answers


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
    rule_name, batch_id, alert_key = result.rule.name, result.batch_id, (result.cause, result.game_date)
    night = next((n for n in snapshot.nights if n.game_date == result.game_date), None)
    newest_batch = night.newest_batch if night else None
    if rule_name == "dml_rejections" and self_healing.auto_reduce_concurrency and night:
        worker = snapshot.worker.value
        if worker is not None and _above_emergency(worker.actual.capacity) and _is_recent(night.writes.value, now):
            revert_at = (now + REVERT_AFTER).replace(second=0, microsecond=0).isoformat()
            yield Remediation(SCALE_DOWN, worker.service, {"revert_at": revert_at}, result.message, alert_key)
    elif (
        rule_name == "stalled"
        and self_healing.resume_stalled
        and newest_batch
        and newest_batch.record_source == "ledger"
    ):
        yield Remediation(RESUME_BATCH, str(result.game_date), {"batch_id": batch_id}, result.message, alert_key)
    elif (
        rule_name == "consolidation"
        and self_healing.consolidate_leftovers
        and newest_batch
        and newest_batch.state not in IN_PROGRESS_STATES
    ):
        tables = snapshot.staging.value or ()
        for leftover_batch_id in sorted(
            {
                parse_staging_table_name(t.name)[0]
                for t in tables
                if parse_staging_table_name(t.name)[2] == result.game_date
            }
        ):
            yield Remediation(
                CONSOLIDATE_BATCH, leftover_batch_id, {"batch_id": leftover_batch_id}, result.message, alert_key
            )


def _above_emergency(capacity: int | None) -> bool:
    return capacity is None or capacity > prod(EMERGENCY_CAPACITY)


def _is_recent(writes: DmlReport | None, now: datetime) -> bool:
    if writes is None:
        return False
    times = [a.at for a in writes.attempts if a.ok is False and is_contention_error(a.message)] or (
        [writes.alert_at] if writes.alert_at else []
    )
    return bool(times) and now - max(times) <= MAX_STORM_AGE


def start_remediations(
    clients: Clients, remediations: Iterable[Remediation]
) -> tuple[tuple[Remediation, ActionHandle], ...]:
    """Start each that has not been tried within COOLDOWN, as an action of the watchdog; it runs on beside the next checks."""
    now = clients.now()
    remediations = tuple(remediations)
    recent_actions = (
        read_action_log(clients, now - COOLDOWN, now + timedelta(minutes=1)).actions if remediations else ()
    )
    return tuple(
        (remediation, handle)
        for remediation in remediations
        if (handle := _start(clients, remediation, recent_actions, now)) is not None
    )


def _start(
    clients: Clients, remediation: Remediation, recent_actions: Iterable[Action], now: datetime
) -> ActionHandle | None:
    """None when anybody tried the same within COOLDOWN, or a guard of its plan fails: then there is nothing to record."""
    if any(
        a.action_name == remediation.action_type.name and (a.target == remediation.target or a.ended_at is None)
        for a in recent_actions
    ):
        return None
    try:
        plan = remediation.action_type.plan(clients, remediation.params)
    except OnCallError as error:
        logger.warning(
            "%s of %s could not be planned: %s", remediation.action_type.name, remediation.target, error, exc_info=True
        )
        return None
    if plan.failed_guards:
        return None
    reason = f"The rule speaks: {remediation.reason}"
    return BACKGROUND.submit(
        plan, WATCHDOG_ACTOR.role, now, lambda: execute(clients, WATCHDOG_ACTOR, remediation.action_type, plan, reason)
    )


def apply_reverts_if_calm(clients: Clients, results: Iterable[RuleResult]) -> Action | None:
    """Restore a capacity whose time to revert has come, unless writes are being rejected."""
    if any(result.rule.name == "dml_rejections" and result.firing for result in results):
        return None
    return apply_due_reverts(clients, WATCHDOG_ACTOR)
