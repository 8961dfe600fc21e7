"""The second channel: a pager that is sent each alert by itself, under a key by which it knows what it has been sent before.

Two public shapes are presets: PagerDuty's Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview) and Opsgenie's
Alert API (https://docs.opsgenie.com/docs/alert-api). Any other receiver takes our own JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from urllib.parse import quote

import requests

from services.alerts.alert_log import Alert
from services.alerts.rules import get_rule
from services.alerts.slack import alert_url
from services.alerts.transport import Delivery, Unreachable, post_json, quote_answer
from services.core.result import Health
from services.core.settings import Settings

CLIENT_NAME = "Prediction On-Call"
MAX_PAGERDUTY_SUMMARY, MAX_OPSGENIE_MESSAGE = 1024, 130  # characters that the two take
PAGERDUTY_SEVERITY = {Health.CRITICAL: "critical", Health.UNKNOWN: "error", Health.WARNING: "warning"}
OPSGENIE_PRIORITY = {Health.CRITICAL: "P1", Health.UNKNOWN: "P2", Health.WARNING: "P3"}


class PageAction(StrEnum):
    """What the second channel is asked to do with an alert; the values are PagerDuty's and ours."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class Page:
    """One call to the second channel. Calls about one opening of an alert have one `dedup_key`."""

    action: PageAction
    alert: Alert
    dedup_key: str


class PagerTransport(Protocol):
    """A second channel, chosen in channels.py."""

    name: str

    def send(self, page: Page) -> Delivery:
        """Send one page; raises nothing. A page that is sent twice is one at the receiver, by its key."""


@dataclass(frozen=True)
class _Request:
    url: str
    body: Mapping[str, object]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Format:
    """One receiver's shape: its name, its own address, how a page becomes a request, and which answers are a delivery."""

    name: str
    default_url: str
    to_request: Callable[[Page, Settings, str], _Request]
    is_accepted: Callable[[requests.Response], bool]


def _to_webhook(page: Page, settings: Settings, url: str) -> _Request:
    alert = page.alert
    body = {
        "action": str(page.action),
        "dedup_key": page.dedup_key,
        "summary": alert.message,
        "severity": str(alert.severity),
        "since": alert.since.isoformat(),
        **_details(page, settings),
        "url": alert_url(settings, alert),
    }
    headers = {"Authorization": f"Bearer {settings.escalation_key}"} if settings.escalation_key else {}
    return _Request(url, body, headers)


def _to_pagerduty(page: Page, settings: Settings, url: str) -> _Request:
    alert = page.alert
    body: dict[str, object] = {
        "routing_key": settings.escalation_key,
        "event_action": str(page.action),
        "dedup_key": page.dedup_key,
    }
    if page.action is PageAction.TRIGGER:
        body["payload"] = {
            "summary": alert.message[:MAX_PAGERDUTY_SUMMARY],
            "source": settings.project,
            "severity": PAGERDUTY_SEVERITY.get(alert.severity, "info"),
            "timestamp": alert.since.isoformat(),
            "class": alert.rule,
            "custom_details": _details(page, settings),
        }
        body |= {"client": CLIENT_NAME, "client_url": alert_url(settings, alert)}
    return _Request(url, body, {})


def _to_opsgenie(page: Page, settings: Settings, url: str) -> _Request:
    alert, headers = page.alert, {"Authorization": f"GenieKey {settings.escalation_key}"}
    if page.action is PageAction.TRIGGER:
        details = _details(page, settings)
        body = {
            "message": alert.message[:MAX_OPSGENIE_MESSAGE],
            "alias": page.dedup_key,
            "description": f"{alert.message}\n{details['hint']}\n{alert_url(settings, alert)}",
            "priority": OPSGENIE_PRIORITY.get(alert.severity, "P5"),
            "source": CLIENT_NAME,
            "details": details,
        }
        return _Request(url, body, headers)
    verb = {PageAction.ACKNOWLEDGE: "acknowledge", PageAction.RESOLVE: "close"}[page.action]
    address = f"{url.rstrip('/')}/{quote(page.dedup_key, safe='')}/{verb}?identifierType=alias"
    return _Request(address, {"source": CLIENT_NAME}, headers)


def _details(page: Page, settings: Settings) -> dict[str, str]:
    """What every receiver is given besides the sentence."""
    alert = page.alert
    return {
        "project": settings.project,
        "rule": alert.rule,
        "game_date": alert.game_date.isoformat() if alert.game_date else "",
        "hint": alert.hint or get_rule(alert.rule).hint,
    }


def _is_202(response: requests.Response) -> bool:
    return response.status_code == 202


_FORMATS = {
    "webhook": _Format("webhook", "", _to_webhook, lambda response: 200 <= response.status_code < 300),
    "pagerduty": _Format("PagerDuty", "https://events.pagerduty.com/v2/enqueue", _to_pagerduty, _is_202),
    "opsgenie": _Format("Opsgenie", "https://api.opsgenie.com/v2/alerts", _to_opsgenie, _is_202),
}
_PAST_TENSE = {
    PageAction.TRIGGER: "accepted the page",
    PageAction.ACKNOWLEDGE: "accepted the acknowledgement",
    PageAction.RESOLVE: "accepted the resolution",
}


def pager_name(settings: Settings) -> str:
    """The second channel's name for people; it is no part of its address."""
    return _FORMATS[settings.escalation_format].name


def pager_configured(settings: Settings) -> bool:
    """Whether these settings name a second channel: an address of its own, or the key that a preset needs."""
    return bool(settings.escalation_key if settings.escalation_format != "webhook" else settings.escalation_url)


class Pager:
    """Sends to the second channel of these settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._format = _FORMATS[settings.escalation_format]
        self.name = self._format.name

    def send(self, page: Page) -> Delivery:
        """Send one page; raises nothing. A page that is sent twice is one at the receiver, by its key."""
        settings = self._settings
        request = self._format.to_request(page, settings, settings.escalation_url or self._format.default_url)
        try:
            response = post_json(request.url, request.body, request.headers)
        except Unreachable as error:
            return Delivery(False, f"{self.name} was not reached {error}")
        if self._format.is_accepted(response):
            return Delivery(True, f"{self.name} {_PAST_TENSE[page.action]}")
        secrets = (settings.escalation_url, settings.escalation_key)
        return Delivery(False, f"{self.name} answered {quote_answer(response, *secrets)}")
