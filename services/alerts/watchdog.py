"""The watchdog: checks tonight, raises alerts, notifies, starts safe remediations, and logs that it ran.

`python -m services.alerts.watchdog` checks once (for a Cloud Run job); `--every 60` repeats. Any number of them may run.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.actions.background import ActionHandle
from services.alerts.alert_log import (
    WATCHDOG,
    Alert,
    Alerts,
    Event,
    EventType,
    append_event,
    group_by_alert,
    read_alerts,
)
from services.alerts.channels import channel_configured
from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus, CheckCache, Snapshot, read_snapshot
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident, causes_without_data, group_by_cause
from services.alerts.notification import notify
from services.alerts.remediation import apply_reverts_if_calm, plan_remediations, start_remediations
from services.alerts.transport import Delivery
from services.core.clock import eastern_day, to_game_date
from services.core.errors import OnCallError
from services.core.result import SEVERITY_ORDER, Health
from services.core.settings import ServerSettings, Settings
from services.gcp import logging_setup
from services.gcp.clients import Clients, connect
from services.policy.concurrency_config import SelfHealingConfig

SERVICE_NAME = "prediction-watchdog"
REOPEN_DELAY = timedelta(minutes=15)  # an alert that a person has resolved is not opened again sooner
LOOKBACK_NIGHTS = 7
logger = logging.getLogger("watchdog")


@dataclass(frozen=True)
class CycleResult:
    """One check: the rule results, the events it recorded, how the notification went, what it started."""

    checked_at: datetime
    rule_results: tuple[RuleResult, ...]
    incidents: tuple[Incident, ...]
    recorded_events: tuple[Event, ...]
    delivery: Delivery | None
    started_actions: tuple[ActionHandle, ...] = field(default=(), compare=False)


def run_check(clients: Clients, cache: CheckCache, self_healing: SelfHealingConfig) -> CycleResult:
    """Check once; raises OnCallError when the alerts themselves cannot be read or written."""
    alerts = read_alerts(cache.cached_clients(clients))
    nights, channel = nights_to_check(alerts, clients.now()), channel_status(clients.settings, alerts)
    snapshot = read_snapshot(clients, nights, channel, cache)
    now = clients.now()
    results = evaluate_rules(snapshot, clients.settings, now)
    incidents, without_data = group_by_cause(results), causes_without_data(results)
    planned_events = plan_alert_events(alerts, incidents, without_data, frozenset(nights), clients.settings, now)
    recorded_events = tuple(event for event in planned_events if append_event(clients, event))
    updated_alerts = _apply_events(alerts, recorded_events)
    updated_alerts, started_actions = _remediate(clients, updated_alerts, snapshot, results, self_healing)
    delivery = notify(clients, _notifiable(updated_alerts, self_healing))
    return CycleResult(now, results, incidents, recorded_events, delivery, started_actions)


def _remediate(
    clients: Clients,
    alerts: tuple[Alert, ...],
    snapshot: Snapshot,
    results: Iterable[RuleResult],
    self_healing: SelfHealingConfig,
) -> tuple[tuple[Alert, ...], tuple[ActionHandle, ...]]:
    """Start remediations and record them at their alerts, so that the notification names them. A failure must not prevent it."""
    now = clients.now()
    recorded_events: list[Event] = []
    try:
        started = start_remediations(clients, plan_remediations(results, snapshot, self_healing, now))
        for remediation, handle in started:
            alert = next((a for a in alerts if (a.cause, a.game_date) == remediation.alert_key and not a.ended), None)
            if alert is None:
                continue
            event = alert.new_event(EventType.REMEDIATION_STARTED, now, WATCHDOG, reason=handle.title)
            if append_event(clients, event):
                recorded_events.append(event)
        apply_reverts_if_calm(clients, results)
    except OnCallError as error:
        logger.error("Watchdog could not mend: %s", error, exc_info=True)
        started = ()
    updated_alerts = group_by_alert([*(e for a in alerts for e in a.events), *recorded_events])
    return updated_alerts, tuple(handle for _, handle in started)


def nights_to_check(alerts: Alerts, now: datetime) -> tuple[date, ...]:
    """Tonight, and every earlier night with an open alert, up to LOOKBACK_NIGHTS ago; newest first."""
    tonight = to_game_date(now)
    open_nights = {a.game_date for a in alerts.open if a.game_date and (tonight - a.game_date).days <= LOOKBACK_NIGHTS}
    return tuple(sorted(open_nights | {tonight}, reverse=True))


def channel_status(settings: Settings, alerts: Alerts) -> ChannelStatus:
    """Whether the last message arrived, by the recorded events of all watchdogs."""
    attempts = [e for a in alerts.alerts for e in a.events if e.event in (EventType.NOTIFIED, EventType.NOTIFY_FAILED)]
    last_attempt = max(attempts, key=lambda e: e.recorded_at, default=None)
    problem = ""
    if last_attempt is not None and last_attempt.event == EventType.NOTIFY_FAILED:
        problem = str(last_attempt.facts.get("delivery", last_attempt.message))
    return ChannelStatus(channel_configured(settings), problem)


def plan_alert_events(
    alerts: Alerts,
    incidents: Iterable[Incident],
    without_data: frozenset[tuple[str, date | None]],
    checked_nights: frozenset[date],
    settings: Settings,
    now: datetime,
) -> tuple[Event, ...]:
    """The events that a check adds: opened, reopened, worsened, updated, resolved. Pure. What is unknown resolves nothing."""
    incidents = tuple(incidents)
    firing = {(i.cause, i.game_date) for i in incidents}
    events = [
        event
        for i in incidents
        if (event := _event_for_incident(i, alerts.find(i.cause, i.game_date), settings, now)) is not None
    ]
    for alert in alerts.open:
        key = (alert.cause, alert.game_date)
        was_checked = alert.game_date is None or alert.game_date in checked_nights
        if key not in firing and key not in without_data and was_checked:
            events.append(alert.new_event(EventType.RESOLVED, now, WATCHDOG, message="The rules are quiet again."))
    for alert in alerts.alerts:
        if alert.cause == "test" and not alert.ended and alert.latest(EventType.NOTIFIED) is not None:
            events.append(alert.new_event(EventType.RESOLVED, now, WATCHDOG, message="It arrived."))
    return tuple(events)


def _event_for_incident(incident: Incident, alert: Alert | None, settings: Settings, now: datetime) -> Event | None:
    """The event that brings an alert up to its incident, or None where nothing is new."""
    fields: dict[str, Any] = {
        "severity": incident.severity,
        "rule": incident.rule.name,
        "message": incident.message,
        "facts": {"findings": [_rule_result_record(result, settings) for result in incident.results]},
    }
    if alert is None or (alert.ended and alert.game_date is None and eastern_day(alert.since) != eastern_day(now)):
        day = incident.game_date or eastern_day(now)
        return Event(
            f"{incident.cause}-{day}", 1, EventType.OPENED, now, WATCHDOG, incident.cause, incident.game_date, **fields
        )
    if alert.ended:
        resolved = alert.last_state_change
        too_soon = resolved.actor != WATCHDOG and now - resolved.recorded_at < REOPEN_DELAY
        return None if too_soon else alert.new_event(EventType.REOPENED, now, WATCHDOG, **fields)
    if SEVERITY_ORDER.index(incident.severity) < SEVERITY_ORDER.index(alert.severity):
        return alert.new_event(EventType.WORSENED, now, WATCHDOG, **fields)
    unchanged = (alert.severity, alert.message, list(alert.rule_results)) == (
        incident.severity,
        incident.message,
        fields["facts"]["findings"],
    )
    return None if unchanged else alert.new_event(EventType.UPDATED, now, WATCHDOG, **fields)


def _rule_result_record(result: RuleResult, settings: Settings) -> dict[str, str]:
    return {
        "rule": result.rule.name,
        "health": str(result.health),
        "sentence": result.message,
        "command": result.format_command(settings),
    }


def _apply_events(alerts: Alerts, events: Sequence[Event]) -> tuple[Alert, ...]:
    return group_by_alert([*(e for a in alerts.alerts for e in a.events), *events])


def _notifiable(alerts: Sequence[Alert], self_healing: SelfHealingConfig) -> tuple[Alert, ...]:
    """SELF_HEALING_ALERT_ON_DML_LIMIT=false suppresses notifications of that one rule; its alert is shown all the same."""
    return tuple(a for a in alerts if self_healing.alert_on_dml_limit or a.rule != "dml_rejections")


def summary_line(check: CycleResult) -> str:
    """The log line of a check: its absence is what Cloud Monitoring alerts on."""
    counts = {
        health: sum(result.health is health for result in check.rule_results) for health in (Health.OK, Health.UNKNOWN)
    }
    delivery_text = f", {check.delivery.detail}" if check.delivery else ""
    return (
        f"Watchdog looked: {len(check.incidents)} incidents, {counts[Health.OK]} rules quiet,"
        f" {counts[Health.UNKNOWN]} unknown, {len(check.recorded_events)} changes{delivery_text}"
    )


def log_result(check: CycleResult) -> None:
    """Log the check and what it changed."""
    for event in (e for e in check.recorded_events if e.event != EventType.UPDATED):
        logger.warning("ALERT %s %s %s: %s", event.event, event.severity, event.alert_id, event.message)
    logger.info(summary_line(check))


def run(clients: Clients, interval_s: float | None, env: Mapping[str, str] | None = None) -> int:
    """Check once, or every `interval_s` seconds; the exit code. A failed check is logged, and the next runs all the same."""
    cache, self_healing = CheckCache(), SelfHealingConfig.from_env(env)
    while True:
        started_at_s = time.monotonic()
        try:
            check = run_check(clients, cache, self_healing)
            log_result(check)
        except Exception as error:  # a fault in one check, ours included, must not end the watchdog
            logger.error("Watchdog is blind: %s: %s", type(error).__name__, error, exc_info=True)
            if interval_s is None:
                return 1
        else:
            if interval_s is None:
                return _wait_for(check.started_actions)
        time.sleep(max(0.0, interval_s - (time.monotonic() - started_at_s)))


def _wait_for(handles: Iterable[ActionHandle]) -> int:
    for handle in handles:
        handle.future.exception()
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m services.alerts.watchdog", description=__doc__)
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="look again after so many seconds; without it, once"
    )
    args = parser.parse_args(argv)
    try:
        clients = connect(Settings.from_env())
        logging_setup.configure_logging(clients, SERVICE_NAME, ServerSettings.from_env().revision or "local")
        return run(clients, args.every)
    except OnCallError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
