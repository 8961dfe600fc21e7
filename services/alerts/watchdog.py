"""The watchdog: checks tonight and every date with an open batch, raises alerts, notifies, starts safe remediations, and logs that it ran.

`python -m services.alerts.watchdog` checks once (for a Cloud Run job); `--every 60` repeats. Any number of them may run.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.actions.background import BACKGROUND, ActionHandle
from services.alerts.alert_log import (
    Alert,
    Event,
    EventType,
    append_event,
    group_by_alert,
    read_alerts,
)
from services.alerts.escalation import escalate
from services.alerts.event_plan import plan_alert_events, plan_remediation_events
from services.alerts.facts import CheckCache, Snapshot
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident
from services.alerts.notification import notify
from services.alerts.present import evaluate_now
from services.alerts.remediation import (
    StartedRemediation,
    apply_reverts_if_calm,
    finish_actions,
    plan_remediations,
    read_recent_actions,
    start_remediations,
)
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.result import Health
from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import Clients, connect
from services.gcp.insert_job import RowsNotInserted
from services.policy.concurrency_config import SelfHealingConfig

SERVICE_NAME = "prediction-watchdog"
ACTION_TIMEOUT_S = 200.0  # the job of one check is killed after 300 s
logger = logging.getLogger("watchdog")


@dataclass(frozen=True)
class CycleResult:
    """One check: the rule results, the events it recorded and those it could not, how the notification went, what it started."""

    checked_at: datetime
    thresholds: str  # their fingerprint
    rule_results: tuple[RuleResult, ...]
    incidents: tuple[Incident, ...]
    recorded_events: tuple[Event, ...]
    delivery: Delivery | None
    started_actions: tuple[ActionHandle, ...] = field(default=(), compare=False)
    unrecorded_events: tuple[Event, ...] = ()
    pages: tuple[Delivery, ...] = ()


def run_check(clients: Clients, cache: CheckCache, self_healing: SelfHealingConfig) -> CycleResult:
    """Check once; raises OnCallError when the alerts themselves cannot be read, or how a message went not be recorded."""
    alerts = read_alerts(cache.cached_clients(clients))
    present = evaluate_now(clients, alerts, cache)
    now, results = present.at, present.results
    planned_events = plan_alert_events(
        alerts, present.incidents, present.without_data, present.nights, clients.settings, now
    )
    recorded, unrecorded = _record_events(clients, planned_events)
    updated_alerts = _apply_events(alerts.alerts, recorded)
    started = _remediate(clients, cache, present.snapshot, results, self_healing)
    remediation_events = plan_remediation_events(updated_alerts, started, now)
    recorded_remediations, unrecorded_remediations = _record_events(clients, remediation_events)
    updated_alerts = _apply_events(updated_alerts, recorded_remediations)
    notifiable = _notifiable(updated_alerts, self_healing)
    try:
        delivery = notify(clients, notifiable)
    finally:  # a message whose outcome cannot be recorded must not keep an alert from the second channel
        pages = escalate(clients, notifiable)
    handles = tuple(remediation.handle for remediation in started if remediation.handle is not None)
    fingerprint = clients.settings.fingerprint
    return CycleResult(
        now,
        fingerprint,
        results,
        present.incidents,
        recorded,
        delivery,
        handles,
        unrecorded + unrecorded_remediations,
        pages,
    )


def _record_events(clients: Clients, events: Iterable[Event]) -> tuple[tuple[Event, ...], tuple[Event, ...]]:
    """The events that this call recorded, and those that could not be: the next check plans them again, so none is lost."""
    recorded: list[Event] = []
    unrecorded: list[Event] = []
    for event in events:
        try:
            if append_event(clients, event):
                recorded.append(event)
        except OnCallError as error:
            logger.error("%s of %s could not be recorded: %s", event.event, event.alert_id, error, exc_info=True)
            unrecorded.append(event)
    return tuple(recorded), tuple(unrecorded)


def _remediate(
    clients: Clients,
    cache: CheckCache,
    snapshot: Snapshot,
    results: Iterable[RuleResult],
    self_healing: SelfHealingConfig,
) -> tuple[StartedRemediation, ...]:
    """Finish what earlier checks began, start what the rules call for. A failure must not prevent the notification."""
    started: tuple[StartedRemediation, ...] = ()
    try:
        actions = read_recent_actions(cache.cached_clients(clients))
        finish_actions(clients, actions)
        remediations = plan_remediations(results, snapshot, self_healing, clients.now())
        started = start_remediations(clients, remediations, actions)
        apply_reverts_if_calm(clients, results)
    except OnCallError as error:
        logger.error("Auto-remediation failed: %s", error, exc_info=True)
    return started


def _apply_events(alerts: Sequence[Alert], events: Sequence[Event]) -> tuple[Alert, ...]:
    return group_by_alert([*(e for a in alerts for e in a.events), *events])


def _notifiable(alerts: Sequence[Alert], self_healing: SelfHealingConfig) -> tuple[Alert, ...]:
    """SELF_HEALING_ALERT_ON_DML_LIMIT=false suppresses notifications of that one rule; its alert is shown all the same."""
    return tuple(a for a in alerts if self_healing.alert_on_dml_limit or a.rule != "dml_rejections")


def summary_line(check: CycleResult) -> str:
    """The log line of a check: its absence is what Cloud Monitoring alerts on."""
    counts = {
        health: sum(result.health is health for result in check.rule_results) for health in (Health.OK, Health.UNKNOWN)
    }
    deliveries = (*((check.delivery,) if check.delivery else ()), *check.pages)
    delivery_text = "".join(f", {delivery.detail}" for delivery in deliveries)
    return (
        f"Watchdog looked: {len(check.incidents)} incidents, {counts[Health.OK]} rules not firing,"
        f" {counts[Health.UNKNOWN]} unknown, {len(check.recorded_events)} changes{delivery_text},"
        f" thresholds {check.thresholds}"
    )


def log_result(check: CycleResult) -> None:
    """Log the check and what it changed; raises RowsNotInserted, and logs no heartbeat, when a change is not recorded."""
    for event in (e for e in check.recorded_events if e.event != EventType.UPDATED):
        logger.warning("ALERT %s %s %s: %s", event.event, event.severity, event.alert_id, event.message)
    if check.unrecorded_events:
        raise RowsNotInserted(f"{len(check.unrecorded_events)} alert events could not be recorded.")
    logger.info(summary_line(check))


def run(clients: Clients, interval_s: float | None, env: Mapping[str, str] | None = None) -> int:
    """Check once, or every `interval_s` seconds; the exit code. A failed check is logged, and the next runs all the same."""
    cache, self_healing = CheckCache(), SelfHealingConfig.from_env(env)
    while True:
        started_at_s = time.monotonic()
        try:
            log_result(run_check(clients, cache, self_healing))
        except Exception as error:  # a fault in one check, ours included, must not end the watchdog
            logger.error("Watchdog can't read its sources: %s: %s", type(error).__name__, error, exc_info=True)
            exit_code = 1
        else:
            exit_code = 0
        if interval_s is None:
            _wait_for_actions()
            return exit_code
        time.sleep(max(0.0, interval_s - (time.monotonic() - started_at_s)))


def _wait_for_actions() -> None:
    """Wait for what this process began. What still runs then dies with it, and a later check finishes it."""
    for handle in BACKGROUND.wait(ACTION_TIMEOUT_S):
        logger.warning(
            "%s is still running after %.0f s: a later check records its result.", handle.title, ACTION_TIMEOUT_S
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.alerts.watchdog", description=__doc__)
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="check again after so many seconds; without it, once"
    )
    args = parser.parse_args(argv)
    logging_setup.configure_logging()
    try:
        clients = connect(Settings.from_env())
        logging_setup.copy_to_sandbox(clients, SERVICE_NAME, ServerSettings.from_env().revision or "local")
        return run(clients, args.every)
    except OnCallError as error:
        logger.critical("%s", error)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
