"""Plans the events of a check: what opened, worsened, changed and ended, and which remediation was started. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from services.alerts.alert_log import WATCHDOG, Alert, Alerts, Event, EventType
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident
from services.alerts.remediation import COOLDOWN, StartedRemediation
from services.core.clock import eastern_day
from services.core.result import SEVERITY_ORDER
from services.core.settings import Settings

REOPEN_DELAY = timedelta(minutes=15)  # an alert that a person has resolved is not opened again sooner


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
            events.append(alert.new_event(EventType.RESOLVED, now, WATCHDOG, message="Condition cleared."))
    for alert in alerts.alerts:
        arrived = alert.latest(EventType.NOTIFIED) or alert.latest(EventType.ESCALATED)
        if alert.is_test and not alert.ended and arrived is not None:
            events.append(alert.new_event(EventType.RESOLVED, now, WATCHDOG, message="Delivered."))
    return tuple(events)


def _event_for_incident(incident: Incident, alert: Alert | None, settings: Settings, now: datetime) -> Event | None:
    """The event that brings an alert up to its incident, or None where nothing is new."""
    fields = incident_fields(incident, settings)
    if alert is None or (alert.ended and alert.game_date is None and eastern_day(alert.opened_at) != eastern_day(now)):
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


def incident_fields(incident: Incident, settings: Settings) -> dict[str, Any]:
    """What an event says of its incident: the fields that describe it."""
    facts: dict[str, Any] = {"findings": [_rule_result_record(result, settings) for result in incident.results]}
    if incident.since is not None:
        facts["since"] = incident.since.isoformat()
    return {
        "severity": incident.severity,
        "rule": incident.rule.name,
        "message": incident.message,
        "facts": facts,
    }


def _rule_result_record(result: RuleResult, settings: Settings) -> dict[str, str]:
    return {
        "rule": result.rule.name,
        "health": str(result.health),
        "sentence": result.message,
        "command": result.format_command(settings),
        "hint": result.rule.hint,
    }


def plan_remediation_events(
    alerts: Sequence[Alert], started: Iterable[StartedRemediation], now: datetime
) -> tuple[Event, ...]:
    """The events that name each remediation at its alert, once, also those that an earlier check could not record. Pure."""
    started = tuple(started)
    events: list[Event] = []
    for alert in alerts:
        for remediation in started:
            is_answer = (alert.cause, alert.game_date) == remediation.remediation.alert_key
            if not is_answer or alert.ended or alert.opened_at > remediation.started_at or _names(alert, remediation):
                continue
            event = alert.new_event(EventType.REMEDIATION_STARTED, now, WATCHDOG, reason=remediation.title)
            alert = Alert(alert.alert_id, (*alert.events, event))
            events.append(event)
    return tuple(events)


def _names(alert: Alert, remediation: StartedRemediation) -> bool:
    """Whether an event of the alert is about this start. Two starts of one title are COOLDOWN apart."""
    return any(
        event.event == EventType.REMEDIATION_STARTED
        and event.reason == remediation.title
        and remediation.started_at - event.recorded_at < COOLDOWN
        for event in alert.events
    )
