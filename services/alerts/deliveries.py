"""How a delivery is recorded: claimed before it is sent, so that of several watchdogs one sends it, and its outcome afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from services.alerts.alert_log import Alert, Event, EventType, append_event
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy, call_with_retry

SLACK = "Slack"  # the channel of a record that names none
DELIVERED_TO_SLACK, _FORMERLY_DELIVERED = "delivered to Slack", "Slack took it"
CLAIM_TIMEOUT = timedelta(minutes=3)  # a delivery whose outcome nobody recorded is sent again after that
MAX_RETRY_DELAY_MIN = 15
MAX_SEQUENCE_RETRIES = 10
RECORD_RETRY = RetryPolicy(base_backoff_s=1.0, budget_s=30.0)  # a message that is not recorded is sent again


@dataclass(frozen=True)
class DeliveryEvents:
    """The three events of a channel at an alert: its claim, and its two outcomes."""

    claim: EventType
    delivered: EventType
    failed: EventType

    def is_claimed(self, alert: Alert, now: datetime) -> bool:
        """Whether another watchdog is sending it now."""
        claim = alert.latest(self.claim)
        last_outcome = max(sequence_of(alert.latest(outcome)) for outcome in (self.delivered, self.failed))
        return claim is not None and claim.sequence > last_outcome and now - claim.recorded_at < CLAIM_TIMEOUT

    def is_backing_off(self, alert: Alert, now: datetime) -> bool:
        """Whether its last delivery failed so lately that the channel is left alone: a minute, doubling, a quarter of an hour at most."""
        failed, delivered = alert.latest(self.failed), sequence_of(alert.latest(self.delivered))
        if failed is None or failed.sequence < delivered:
            return False
        failures = sum(event.event == self.failed and event.sequence > delivered for event in alert.events)
        return now - failed.recorded_at < timedelta(minutes=min(MAX_RETRY_DELAY_MIN, 2 ** (failures - 1)))

    def last_problem(self, alerts: Iterable[Alert]) -> str:
        """What went wrong with the last delivery, by the events of all watchdogs; "" when it arrived, or there was none."""
        attempts = [e for alert in alerts for e in alert.events if e.event in (self.delivered, self.failed)]
        last = max(attempts, key=lambda event: event.recorded_at, default=None)
        return str(last.facts.get("delivery", last.message)) if last is not None and last.event == self.failed else ""


NOTIFICATION = DeliveryEvents(EventType.NOTIFYING, EventType.NOTIFIED, EventType.NOTIFY_FAILED)
ESCALATION = DeliveryEvents(EventType.ESCALATING, EventType.ESCALATED, EventType.ESCALATION_FAILED)
CLAIM_EVENTS = frozenset((NOTIFICATION.claim, ESCALATION.claim))
_OUTCOMES: dict[str, bool] = {
    **{events.delivered: True for events in (NOTIFICATION, ESCALATION)},
    **{events.failed: False for events in (NOTIFICATION, ESCALATION)},
}


def sequence_of(event: Event | None) -> int:
    """The number of an event; 0 where there is none."""
    return event.sequence if event else 0


def record_outcome(clients: Clients, outcome: Event) -> None:
    """Record it under the next free number: somebody may have acknowledged the alert while the channel was answering.

    Raises OnCallError.
    """
    for offset in range(MAX_SEQUENCE_RETRIES):
        numbered = replace(outcome, sequence=outcome.sequence + offset)
        if call_with_retry(RECORD_RETRY, partial(append_event, clients, numbered)):
            return
    raise OnCallError(f"The delivery of {outcome.alert_id} could not be recorded.", "Check the channel.")


@dataclass(frozen=True)
class DeliveryRecord:
    """One message or page about an alert, as recorded; `ok` is None where no outcome was recorded."""

    at: datetime
    channel: str
    ok: bool | None
    detail: str


def delivery_records(alert: Alert) -> tuple[DeliveryRecord, ...]:
    """Every message and page about an alert, oldest first. A claim counts only where its outcome is not recorded."""
    with_outcome = {event.notification_id for event in alert.events if event.event in _OUTCOMES}
    return tuple(
        DeliveryRecord(
            event.recorded_at,
            str(event.facts.get("channel", SLACK)),
            _OUTCOMES.get(event.event),
            _delivery_text(event),
        )
        for event in alert.events
        if event.event in _OUTCOMES or (event.event in CLAIM_EVENTS and event.notification_id not in with_outcome)
    )


def _delivery_text(event: Event) -> str:
    """The channel's answer, as recorded; that of an earlier version in today's words."""
    recorded = str(event.facts.get("delivery") or "no result recorded")
    return DELIVERED_TO_SLACK if recorded == _FORMERLY_DELIVERED else recorded
