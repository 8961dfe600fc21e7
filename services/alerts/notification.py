"""Who is notified of which alert and when: once per change, again while a critical one is open, never too often, never lost."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from services.alerts.alert_log import (
    FIRST_CHANNEL,
    TEST_MESSAGE,
    TEST_PAGE,
    WATCHDOG,
    Alert,
    AlertState,
    Event,
    EventType,
    append_event,
)
from services.alerts.channels import open_channel
from services.alerts.deliveries import NOTIFICATION, record_outcome, sequence_of
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.result import Health
from services.gcp.clients import Clients

RENOTIFY_AFTER = timedelta(hours=1)
MAX_MESSAGES_PER_HOUR = 6
BURST_INTERVAL = timedelta(minutes=10)  # a new alert must not wait an hour because another flaps
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
    if state is AlertState.SILENCED or alert.cause in (FIRST_CHANNEL, TEST_PAGE):
        return False
    notified = alert.latest(EventType.NOTIFIED)
    if alert.cause == TEST_MESSAGE and (alert.ended or notified is not None):
        return False
    if NOTIFICATION.is_claimed(alert, now) or NOTIFICATION.is_backing_off(alert, now):
        return False
    last_change = next(e for e in reversed(alert.events) if e.event in _NOTIFY_EVENTS)
    if last_change.sequence > sequence_of(notified):
        return last_change.event != EventType.RESOLVED or notified is not None
    needs_reminder = state is AlertState.OPEN and alert.severity is Health.CRITICAL and not alert.ended
    return needs_reminder and notified is not None and now - notified.recorded_at >= RENOTIFY_AFTER


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
            claimed_alert = Alert(alert.alert_id, (*alert.events, claim))
            record_outcome(clients, delivery_event(claimed_alert, delivery, clients.now(), claim.notification_id))
        except OnCallError as error:
            errors.append(error)
    return errors
