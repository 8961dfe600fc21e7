"""Delivers alerts to Slack: with what helps and a link to the evidence, tried again when Slack is slow, full or down, never in silence."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http.client import RemoteDisconnected
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode

from slack_sdk.errors import SlackRequestError
from slack_sdk.http_retry import (
    BackoffRetryIntervalCalculator,
    ConnectionErrorRetryHandler,
    HttpRequest,
    HttpResponse,
    RateLimitErrorRetryHandler,
    RetryHandler,
    RetryState,
)
from slack_sdk.http_retry.builtin_handlers import ServerErrorRetryHandler
from slack_sdk.http_retry.jitter import RandomJitter
from slack_sdk.webhook import WebhookClient

from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, append_event
from services.alerts.rules import get_rule
from services.core.clock import ET
from services.core.errors import OnCallError
from services.core.result import Health
from services.core.settings import Settings
from services.gcp.clients import Clients

REQUEST_TIMEOUT_S = 5
MAX_ATTEMPTS = 3
MAX_RETRY_AFTER_S = 30.0  # a longer Retry-After is left to the next look
CLAIM_TIMEOUT = timedelta(minutes=3)  # a message that nobody told the end of is sent again after that
RENOTIFY_AFTER = timedelta(hours=1)
MAX_MESSAGES_PER_HOUR = 6
BURST_INTERVAL = timedelta(minutes=10)  # a new alert must not wait an hour because another flaps
MAX_ALERTS_PER_MESSAGE = 10
MAX_SEQUENCE_RETRIES = 10
_NOTIFY_EVENTS = {"opened", "worsened", "reopened", "resolved", "mending"}
_TRANSIENT_ERRORS: list[type[Exception]] = [URLError, ConnectionError, RemoteDisconnected, TimeoutError]
_SEVERITY_EMOJI = {Health.CRITICAL: "🔴", Health.UNKNOWN: "🟣", Health.WARNING: "🟠"}


@dataclass(frozen=True)
class Delivery:
    """How one message went, in words that never hold the webhook."""

    ok: bool
    detail: str


class _BoundedRateLimitHandler(RateLimitErrorRetryHandler):
    """Waits as long as Slack asks, but not so long that the watchdog stops looking."""

    def prepare_for_next_attempt(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        retry_after = (response.headers if response else {}).get("retry-after") or ["1"]
        wait_s = float(retry_after[0] if isinstance(retry_after, list) else retry_after)
        if wait_s > MAX_RETRY_AFTER_S:
            raise SlackRequestError(f"Slack asks to wait {wait_s:g} s")
        super().prepare_for_next_attempt(state=state, request=request, response=response, error=error)


def send_message(settings: Settings, text: str) -> Delivery:
    """Send one message; raises nothing. Slack's word is what counts, and it says `ok`."""
    if not settings.slack_webhook_url:
        return Delivery(False, "No channel is set: SLACK_WEBHOOK_URL is empty")
    backoff = BackoffRetryIntervalCalculator(0.5, RandomJitter())
    handlers: list[RetryHandler] = [
        ConnectionErrorRetryHandler(
            max_retry_count=MAX_ATTEMPTS - 1, interval_calculator=backoff, error_types=_TRANSIENT_ERRORS
        ),
        _BoundedRateLimitHandler(max_retry_count=MAX_ATTEMPTS - 1),
        ServerErrorRetryHandler(max_retry_count=MAX_ATTEMPTS - 1, interval_calculator=backoff),
    ]
    muted_logger = logging.getLogger("slack_sdk.quiet")
    muted_logger.setLevel(logging.CRITICAL)  # at DEBUG the client writes the webhook's address
    client = WebhookClient(
        settings.slack_webhook_url, timeout=REQUEST_TIMEOUT_S, retry_handlers=handlers, logger=muted_logger
    )
    try:
        response = client.send(text=text)
    except Exception as error:  # whatever the network or Slack does, the alert stays and says so
        error_text = str(error).replace(settings.slack_webhook_url, "…")
        return Delivery(
            False, f"Slack was not reached after {MAX_ATTEMPTS} tries: {type(error).__name__}: {error_text}"[:300]
        )
    if response.status_code == 200 and response.body == "ok":
        return Delivery(True, "Slack took it")
    return Delivery(False, f"Slack answered HTTP {response.status_code}: {response.body[:100] or 'nothing'}")


def alerts_to_notify(alerts: Sequence[Alert], now: datetime) -> tuple[Alert, ...]:
    """The alerts that somebody has to be told of now: something changed since, or nobody has taken a critical one."""
    return tuple(alert for alert in alerts if _should_notify(alert, now))


def _should_notify(alert: Alert, now: datetime) -> bool:
    state = alert.state(now)
    if state is AlertState.SILENCED or alert.cause == "channel":
        return False
    notified = _latest_event(alert, "told")
    if alert.cause == "test" and (alert.ended or notified is not None):
        return False
    last_change = next(e for e in reversed(alert.events) if e.event in _NOTIFY_EVENTS)
    claim, failed = _latest_event(alert, "telling"), _latest_event(alert, "not told")
    if (
        claim is not None
        and claim.sequence > max(_sequence(notified), _sequence(failed))
        and now - claim.recorded_at < CLAIM_TIMEOUT
    ):
        return False
    if failed is not None and failed.sequence > _sequence(notified) and now - failed.recorded_at < _retry_delay(alert):
        return False
    if last_change.sequence > _sequence(notified):
        return last_change.event != "resolved" or notified is not None
    needs_reminder = state is AlertState.OPEN and alert.severity is Health.CRITICAL and not alert.ended
    return needs_reminder and notified is not None and now - notified.recorded_at >= RENOTIFY_AFTER


def _retry_delay(alert: Alert) -> timedelta:
    """How long to leave a channel alone that has failed: one minute, doubling, a quarter of an hour at most."""
    last_notified = _sequence(_latest_event(alert, "told"))
    failures = sum(e.event == "not told" and e.sequence > last_notified for e in alert.events)
    return timedelta(minutes=min(15, 2 ** (failures - 1)))


def _latest_event(alert: Alert, event: str) -> Event | None:
    return next((e for e in reversed(alert.events) if e.event == event), None)


def _unnotified_events(alert: Alert) -> tuple[Event, ...]:
    """What happened to it since somebody was last told."""
    return tuple(event for event in alert.events if event.sequence > _sequence(_latest_event(alert, "told")))


def _sequence(event: Event | None) -> int:
    return event.sequence if event else 0


def within_rate_limit(alerts: Sequence[Alert], now: datetime) -> bool:
    """Six messages an hour; after that one every ten minutes, which then tells everything that waits."""
    sent = [e for a in alerts for e in a.events if e.event == "told" and now - e.recorded_at < timedelta(hours=1)]
    if len({e.message_id for e in sent}) < MAX_MESSAGES_PER_HOUR:
        return True
    return now - max(e.recorded_at for e in sent) >= BURST_INTERVAL


def notify(clients: Clients, alerts: Sequence[Alert]) -> Delivery | None:
    """Tell what is due in one message, however much it is; None when nothing is due, or too much was told lately.

    Each alert is claimed before it is told, so of several watchdogs one tells it.
    """
    now = clients.now()
    if not within_rate_limit(alerts, now):
        return None
    message_id = uuid.uuid4().hex[:12]
    claimed: list[tuple[Alert, Event]] = []
    for alert in alerts_to_notify(alerts, now):
        claim = alert.new_event("telling", now, WATCHDOG, message_id=message_id)
        if append_event(clients, claim):
            claimed.append((alert, claim))
    if not claimed:
        return None
    delivery = send_message(clients.settings, format_message([alert for alert, _ in claimed], clients.settings))
    for alert, claim in claimed:
        _record_delivery(clients, Alert(alert.alert_id, (*alert.events, claim)), delivery, message_id)
    return delivery


def _record_delivery(clients: Clients, alert: Alert, delivery: Delivery, message_id: str) -> None:
    """How the message went, under the next free number: somebody may have taken the alert while Slack was answering."""
    event_name = "told" if delivery.ok else "not told"
    delivery_event = alert.new_event(
        event_name, clients.now(), WATCHDOG, message_id=message_id, facts={"delivery": delivery.detail}
    )
    for offset in range(MAX_SEQUENCE_RETRIES):
        if append_event(clients, replace(delivery_event, sequence=delivery_event.sequence + offset)):
            return
    raise OnCallError(f"How the message about {alert.alert_id} went could not be recorded.", "Look at the channel.")


def format_message(alerts: Sequence[Alert], settings: Settings) -> str:
    """The message: what is wrong, since when, what helps, where the evidence is; many in one, with their number."""
    lines = [_format_alert(alert, settings) for alert in alerts[:MAX_ALERTS_PER_MESSAGE]]
    if len(alerts) == 1:
        return lines[0]
    rest = f"\n… and {len(alerts) - MAX_ALERTS_PER_MESSAGE} more" if len(alerts) > MAX_ALERTS_PER_MESSAGE else ""
    return f"*{len(alerts)} alerts*\n" + "\n".join(lines) + rest


def _format_alert(alert: Alert, settings: Settings) -> str:
    if alert.cause == "test":
        return _escape_mrkdwn(alert.message)
    if alert.ended:
        return f"🟢 *Resolved* {_escape_mrkdwn(alert.message)} ({_escape_mrkdwn(alert.last_state_change.sentence)})"
    reopened_mark = " *again*" if alert.last_state_change.event == "reopened" else ""
    since = f"{alert.since.astimezone(ET):%H:%M} ET"
    remediations = [event.reason for event in _unnotified_events(alert) if event.event == "mending"]
    hint_text = "\n".join(
        ["", get_rule(alert.rule).hint, *(f"The watchdog has begun: {title}." for title in remediations)]
    )
    command = next((result["command"] for result in alert.rule_results if result.get("command")), "")
    return (
        f"{_SEVERITY_EMOJI.get(alert.severity, '⚪')}{reopened_mark} *{_escape_mrkdwn(alert.message)}* (since {since}){_escape_mrkdwn(hint_text)}"
        + (f"\n```{command}```" if command else "")
        + f"\n<{evidence_url(settings, alert)}|Evidence and buttons>"
    )


def evidence_url(settings: Settings, alert: Alert) -> str:
    """The page with the evidence, on the alert's night."""
    rule = get_rule(alert.rule)
    query = {"date": alert.game_date.isoformat()} if alert.game_date else {}
    return f"{settings.dashboard_url}/{rule.page}" + (f"?{urlencode(query)}" if query else "")


def _escape_mrkdwn(text: Any) -> str:
    """Slack's three special characters, as it wants them."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
