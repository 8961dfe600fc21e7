"""Who is notified of which alert and when: once per change, again while a critical one is open, never too often, never lost."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, EventType, append_event
from services.alerts.channels import open_channel
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.result import Health
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy, call_with_retry

CLAIM_TIMEOUT = timedelta(minutes=3)  # a notification whose outcome nobody recorded is sent again after that
RENOTIFY_AFTER = timedelta(hours=1)
MAX_MESSAGES_PER_HOUR = 6
BURST_INTERVAL = timedelta(minutes=10)  # a new alert must not wait an hour because another flaps
MAX_RETRY_DELAY_MIN = 15
MAX_SEQUENCE_RETRIES = 10
RECORD_RETRY = RetryPolicy(base_backoff_s=1.0, budget_s=30.0)  # a message that is not recorded is sent again
_NOTIFY_EVENTS = {
    EventType.OPENED,
    EventType.WORSENED,
    EventType.REOPENED,
    EventType.RESOLVED,
    EventType.REMEDIATION_STARTED,
}


def alerts_to_notify(alerts: Sequence[Alert], now: datetime) -> tuple[Alert, ...]:
    """The alerts to send now: something changed since the last notification, or a critical one is not acknowledged."""
    return tuple(alert for alert in alerts if _should_notify(alert, now))


def _should_notify(alert: Alert, now: datetime) -> bool:
    state = alert.state(now)
    if state is AlertState.SILENCED or alert.cause == "channel":
        return False
    notified = alert.latest(EventType.NOTIFIED)
    if alert.cause == "test" and (alert.ended or notified is not None):
        return False
    if _is_claimed(alert, now) or _is_backing_off(alert, now):
        return False
    last_change = next(e for e in reversed(alert.events) if e.event in _NOTIFY_EVENTS)
    if last_change.sequence > _sequence(notified):
        return last_change.event != EventType.RESOLVED or notified is not None
    needs_reminder = state is AlertState.OPEN and alert.severity is Health.CRITICAL and not alert.ended
    return needs_reminder and notified is not None and now - notified.recorded_at >= RENOTIFY_AFTER


def _is_claimed(alert: Alert, now: datetime) -> bool:
    """Whether another watchdog is sending it now."""
    claim = alert.latest(EventType.NOTIFYING)
    last_outcome = max(_sequence(alert.latest(e)) for e in (EventType.NOTIFIED, EventType.NOTIFY_FAILED))
    return claim is not None and claim.sequence > last_outcome and now - claim.recorded_at < CLAIM_TIMEOUT


def _is_backing_off(alert: Alert, now: datetime) -> bool:
    """Whether its last delivery failed so lately that the channel is left alone."""
    failed = alert.latest(EventType.NOTIFY_FAILED)
    is_newest = failed is not None and failed.sequence > _sequence(alert.latest(EventType.NOTIFIED))
    return failed is not None and is_newest and now - failed.recorded_at < _retry_delay(alert)


def _retry_delay(alert: Alert) -> timedelta:
    """How long to leave a channel alone that has failed: one minute, doubling, a quarter of an hour at most."""
    failures = sum(e.event == EventType.NOTIFY_FAILED for e in alert.unnotified_events)
    return timedelta(minutes=min(MAX_RETRY_DELAY_MIN, 2 ** (failures - 1)))


def _sequence(event: Event | None) -> int:
    return event.sequence if event else 0


def within_rate_limit(alerts: Sequence[Alert], now: datetime) -> bool:
    """Six messages an hour; after that one every ten minutes, which then holds everything that waits."""
    sent = [
        event
        for alert in alerts
        for event in alert.events
        if event.event == EventType.NOTIFIED and now - event.recorded_at < timedelta(hours=1)
    ]
    if len({event.notification_id for event in sent}) < MAX_MESSAGES_PER_HOUR:
        return True
    return now - max(event.recorded_at for event in sent) >= BURST_INTERVAL


def notify(clients: Clients, alerts: Sequence[Alert]) -> Delivery | None:
    """Send what is due in one message, however much it is; None when nothing is due, or the rate limit is reached.

    Each alert is claimed before it is sent, so of several watchdogs one sends it. Raises OnCallError.
    """
    now = clients.now()
    if not within_rate_limit(alerts, now):
        return None
    notification_id = uuid.uuid4().hex[:12]
    claimed: list[tuple[Alert, Event]] = []
    errors: list[OnCallError] = []
    for alert in alerts_to_notify(alerts, now):
        claim = alert.new_event(EventType.NOTIFYING, now, WATCHDOG, notification_id=notification_id)
        try:
            if append_event(clients, claim):
                claimed.append((alert, claim))
        except OnCallError as error:
            errors.append(error)
    delivery = open_channel(clients.settings).send([alert for alert, _ in claimed]) if claimed else None
    if delivery is not None:
        errors += _record_deliveries(clients, claimed, delivery)
    if errors:
        raise errors[0]
    return delivery


def delivery_event(alert: Alert, delivery: Delivery, now: datetime, notification_id: str) -> Event:
    """The event that records how a message about an alert went."""
    event_type = EventType.NOTIFIED if delivery.ok else EventType.NOTIFY_FAILED
    return alert.new_event(
        event_type, now, WATCHDOG, notification_id=notification_id, facts={"delivery": delivery.detail}
    )


def _record_deliveries(
    clients: Clients, claimed: Sequence[tuple[Alert, Event]], delivery: Delivery
) -> list[OnCallError]:
    """Record at each alert how its message went; the errors of those where it could not be."""
    errors: list[OnCallError] = []
    for alert, claim in claimed:
        try:
            _record_delivery(clients, Alert(alert.alert_id, (*alert.events, claim)), delivery, claim.notification_id)
        except OnCallError as error:
            errors.append(error)
    return errors


def _record_delivery(clients: Clients, alert: Alert, delivery: Delivery, notification_id: str) -> None:
    """Record it under the next free number: somebody may have acknowledged the alert while the channel was answering."""
    event = delivery_event(alert, delivery, clients.now(), notification_id)
    for offset in range(MAX_SEQUENCE_RETRIES):
        numbered = replace(event, sequence=event.sequence + offset)
        if call_with_retry(RECORD_RETRY, partial(append_event, clients, numbered)):
            return
    raise OnCallError(f"How the message about {alert.alert_id} went could not be recorded.", "Look at the channel.")
