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

from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, append
from services.alerts.rules import rule_of
from services.core.clock import ET
from services.core.errors import OnCallError
from services.core.result import Health
from services.core.settings import Settings
from services.gcp.clients import Cloud

TIMEOUT_S = 5
TRIES = 3
LONGEST_WAIT_S = 30.0  # a longer Retry-After is left to the next look
TAKEN_FOR = timedelta(minutes=3)  # a message that nobody told the end of is sent again after that
REPEAT_AFTER = timedelta(hours=1)
MESSAGES_PER_HOUR = 6
THEN_EVERY = timedelta(minutes=10)  # a new alert must not wait an hour because another flaps
MOST_LINES = 10
SPARE_NUMBERS = 10
_TOLD_OF = {"opened", "worsened", "reopened", "resolved", "mending"}
_PASSING: list[type[Exception]] = [URLError, ConnectionError, RemoteDisconnected, TimeoutError]
_MARKS = {Health.CRITICAL: "🔴", Health.UNKNOWN: "🟣", Health.WARNING: "🟠"}


@dataclass(frozen=True)
class Delivery:
    """How one message went, in words that never hold the webhook."""

    ok: bool
    sentence: str


class _Patient(RateLimitErrorRetryHandler):
    """Waits as long as Slack asks, but not so long that the watchdog stops looking."""

    def prepare_for_next_attempt(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> None:
        asked = (response.headers if response else {}).get("retry-after") or ["1"]
        wait_s = float(asked[0] if isinstance(asked, list) else asked)
        if wait_s > LONGEST_WAIT_S:
            raise SlackRequestError(f"Slack asks to wait {wait_s:g} s")
        super().prepare_for_next_attempt(state=state, request=request, response=response, error=error)


def send(settings: Settings, text: str) -> Delivery:
    """Send one message; raises nothing. Slack's word is what counts, and it says `ok`."""
    if not settings.slack_webhook_url:
        return Delivery(False, "No channel is set: SLACK_WEBHOOK_URL is empty")
    pause = BackoffRetryIntervalCalculator(0.5, RandomJitter())
    handlers: list[RetryHandler] = [
        ConnectionErrorRetryHandler(max_retry_count=TRIES - 1, interval_calculator=pause, error_types=_PASSING),
        _Patient(max_retry_count=TRIES - 1),
        ServerErrorRetryHandler(max_retry_count=TRIES - 1, interval_calculator=pause),
    ]
    quiet = logging.getLogger("slack_sdk.quiet")
    quiet.setLevel(logging.CRITICAL)  # at DEBUG the client writes the webhook's address
    client = WebhookClient(settings.slack_webhook_url, timeout=TIMEOUT_S, retry_handlers=handlers, logger=quiet)
    try:
        answer = client.send(text=text)
    except Exception as error:  # whatever the network or Slack does, the alert stays and says so
        told = str(error).replace(settings.slack_webhook_url, "…")
        return Delivery(False, f"Slack was not reached after {TRIES} tries: {type(error).__name__}: {told}"[:300])
    if answer.status_code == 200 and answer.body == "ok":
        return Delivery(True, "Slack took it")
    return Delivery(False, f"Slack answered HTTP {answer.status_code}: {answer.body[:100] or 'nothing'}")


def due(alerts: Sequence[Alert], now: datetime) -> tuple[Alert, ...]:
    """The alerts that somebody has to be told of now: something changed since, or nobody has taken a critical one."""
    return tuple(alert for alert in alerts if _due(alert, now))


def _due(alert: Alert, now: datetime) -> bool:
    state = alert.state(now)
    if state is AlertState.SILENCED or alert.cause == "channel":
        return False
    told = _last(alert, "told")
    if alert.cause == "test" and (alert.ended or told is not None):
        return False
    changed = next(e for e in reversed(alert.events) if e.event in _TOLD_OF)
    taken, failed = _last(alert, "telling"), _last(alert, "not told")
    if (
        taken is not None
        and taken.sequence > max(_number(told), _number(failed))
        and now - taken.recorded_at < TAKEN_FOR
    ):
        return False
    if failed is not None and failed.sequence > _number(told) and now - failed.recorded_at < _pause(alert):
        return False
    if changed.sequence > _number(told):
        return changed.event != "resolved" or told is not None
    waits = state is AlertState.OPEN and alert.severity is Health.CRITICAL and not alert.ended
    return waits and told is not None and now - told.recorded_at >= REPEAT_AFTER


def _pause(alert: Alert) -> timedelta:
    """How long to leave a channel alone that has failed: one minute, doubling, a quarter of an hour at most."""
    last = _number(_last(alert, "told"))
    failures = sum(e.event == "not told" and e.sequence > last for e in alert.events)
    return timedelta(minutes=min(15, 2 ** (failures - 1)))


def _last(alert: Alert, event: str) -> Event | None:
    return next((e for e in reversed(alert.events) if e.event == event), None)


def _untold(alert: Alert) -> tuple[Event, ...]:
    """What happened to it since somebody was last told."""
    return tuple(event for event in alert.events if event.sequence > _number(_last(alert, "told")))


def _number(event: Event | None) -> int:
    return event.sequence if event else 0


def may_send(alerts: Sequence[Alert], now: datetime) -> bool:
    """Six messages an hour; after that one every ten minutes, which then tells everything that waits."""
    sent = [e for a in alerts for e in a.events if e.event == "told" and now - e.recorded_at < timedelta(hours=1)]
    if len({e.message_id for e in sent}) < MESSAGES_PER_HOUR:
        return True
    return now - max(e.recorded_at for e in sent) >= THEN_EVERY


def deliver(cloud: Cloud, alerts: Sequence[Alert]) -> Delivery | None:
    """Tell what is due in one message, however much it is; None when nothing is due, or too much was told lately.

    Each alert is claimed before it is told, so of several watchdogs one tells it.
    """
    now = cloud.now()
    if not may_send(alerts, now):
        return None
    message_id = uuid.uuid4().hex[:12]
    mine: list[tuple[Alert, Event]] = []
    for alert in due(alerts, now):
        claim = alert.next("telling", now, WATCHDOG, message_id=message_id)
        if append(cloud, claim):
            mine.append((alert, claim))
    if not mine:
        return None
    done = send(cloud.settings, text_of([alert for alert, _ in mine], cloud.settings))
    for alert, claim in mine:
        _record(cloud, Alert(alert.alert_id, (*alert.events, claim)), done, message_id)
    return done


def _record(cloud: Cloud, alert: Alert, done: Delivery, message_id: str) -> None:
    """How the message went, under the next free number: somebody may have taken the alert while Slack was answering."""
    event = "told" if done.ok else "not told"
    row = alert.next(event, cloud.now(), WATCHDOG, message_id=message_id, facts={"delivery": done.sentence})
    for later in range(SPARE_NUMBERS):
        if append(cloud, replace(row, sequence=row.sequence + later)):
            return
    raise OnCallError(f"How the message about {alert.alert_id} went could not be recorded.", "Look at the channel.")


def text_of(alerts: Sequence[Alert], settings: Settings) -> str:
    """The message: what is wrong, since when, what helps, where the evidence is; many in one, with their number."""
    lines = [_told(alert, settings) for alert in alerts[:MOST_LINES]]
    if len(alerts) == 1:
        return lines[0]
    rest = f"\n… and {len(alerts) - MOST_LINES} more" if len(alerts) > MOST_LINES else ""
    return f"*{len(alerts)} alerts*\n" + "\n".join(lines) + rest


def _told(alert: Alert, settings: Settings) -> str:
    if alert.cause == "test":
        return _plain(alert.sentence)
    if alert.ended:
        return f"🟢 *Resolved* {_plain(alert.sentence)} ({_plain(alert.change.sentence)})"
    again = " *again*" if alert.change.event == "reopened" else ""
    since = f"{alert.since.astimezone(ET):%H:%M} ET"
    mends = [event.reason for event in _untold(alert) if event.event == "mending"]
    helps = "\n".join(["", rule_of(alert.rule).remedy, *(f"The watchdog has begun: {what}." for what in mends)])
    command = next((f["command"] for f in alert.findings if f.get("command")), "")
    return (
        f"{_MARKS.get(alert.severity, '⚪')}{again} *{_plain(alert.sentence)}* (since {since}){_plain(helps)}"
        + (f"\n```{command}```" if command else "")
        + f"\n<{link(settings, alert)}|Evidence and buttons>"
    )


def link(settings: Settings, alert: Alert) -> str:
    """The page with the evidence, on the alert's night."""
    rule = rule_of(alert.rule)
    query = {"date": alert.game_date.isoformat()} if alert.game_date else {}
    return f"{settings.dashboard_url}/{rule.page}" + (f"?{urlencode(query)}" if query else "")


def _plain(text: Any) -> str:
    """Slack's three special characters, as it wants them."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
