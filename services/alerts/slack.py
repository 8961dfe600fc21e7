"""Slack as a notification channel: one message with what is wrong, what fixes it and a link to the alert, to its webhook."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

from services.alerts.alert_log import Alert, EventType
from services.alerts.deliveries import DELIVERED_TO_SLACK
from services.alerts.rules import get_rule
from services.alerts.transport import (
    MAX_RETRY_AFTER_S,
    Delivery,
    Unreachable,
    post_json,
    quote_answer,
    retry_after_s,
)
from services.core.clock import format_eastern
from services.core.result import Health
from services.core.settings import Settings
from services.core.text import to_printable

MAX_ALERTS_PER_MESSAGE = 10
_LOOK_ALIKES = {
    "*": "\N{ASTERISK OPERATOR}",
    "_": "\N{MODIFIER LETTER LOW MACRON}",
    "~": "\N{TILDE OPERATOR}",
    "`": "\N{MODIFIER LETTER GRAVE ACCENT}",
}
_FORMATTING = re.compile(r"[*~`]|(?<![^\W_])_|_(?![^\W_])")  # a _ inside a name is one
_SEVERITY_EMOJI = {Health.CRITICAL: "🔴", Health.UNKNOWN: "🟣", Health.WARNING: "🟠"}


class SlackTransport:
    """Sends to SLACK_WEBHOOK_URL. Slack took a message when it answers 200 and `ok`; anything else is a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, alerts: Sequence[Alert]) -> Delivery:
        """Post one message about these alerts to the webhook."""
        try:
            response = post_json(self._settings.slack_webhook_url, {"text": format_message(alerts, self._settings)})
        except Unreachable as error:
            return Delivery(False, f"Slack was not reached {error}")
        if response.status_code == 200 and response.text == "ok":
            return Delivery(True, DELIVERED_TO_SLACK)
        detail = f"Slack answered {quote_answer(response, self._settings.slack_webhook_url)}"
        is_long_wait = response.status_code == 429 and retry_after_s(response) > MAX_RETRY_AFTER_S
        return Delivery(False, f"Slack asks to wait {retry_after_s(response):g} s" if is_long_wait else detail)


def format_message(alerts: Sequence[Alert], settings: Settings) -> str:
    """The message: what is wrong, since when, what fixes it, where its page is; many in one, with their number."""
    lines = [_format_alert(alert, settings) for alert in alerts[:MAX_ALERTS_PER_MESSAGE]]
    if len(alerts) == 1:
        return lines[0]
    rest = f"\n… and {len(alerts) - MAX_ALERTS_PER_MESSAGE} more" if len(alerts) > MAX_ALERTS_PER_MESSAGE else ""
    return f"*{len(alerts)} alerts*\n" + "\n".join(lines) + rest


def _format_alert(alert: Alert, settings: Settings) -> str:
    if alert.is_test:
        return _escape_mrkdwn(alert.message)
    if alert.ended:
        return f"🟢 *Resolved* {_escape_mrkdwn(alert.message)} ({_escape_mrkdwn(alert.last_state_change.message)})"
    reopened_mark = " *again*" if alert.last_state_change.event == EventType.REOPENED else ""
    since = format_eastern(alert.since)
    started = [event.reason for event in alert.unnotified_events if event.event == EventType.REMEDIATION_STARTED]
    hint_text = "\n".join(
        ["", alert.hint or get_rule(alert.rule).hint, *(f"Auto-remediation started: {title}." for title in started)]
    )
    command = next((result["command"] for result in alert.rule_results if result.get("command")), "")
    emoji = _SEVERITY_EMOJI.get(alert.severity, "⚪")
    return (
        f"{emoji}{reopened_mark} *{_escape_mrkdwn(alert.message)}* (since {since}){_escape_mrkdwn(hint_text)}"
        + (f"\n```{_escape_code(command)}```" if command else "")
        + f"\n<{alert_url(settings, alert)}|Open in Prediction On-Call>"
    )


def alert_url(settings: Settings, alert: Alert) -> str:
    """The alert's own page, on its game date: its buttons, and the links to its data and logs."""
    date_query = {"date": alert.game_date.isoformat()} if alert.game_date else {}
    return f"{settings.dashboard_url}/alerts?{urlencode({'alert': alert.alert_id, **date_query})}"


def _escape_code(command: str) -> str:
    """A command inside a block of code, which it cannot end."""
    return to_printable(escape(command, quote=False)).replace("`", _LOOK_ALIKES["`"])


def _escape_mrkdwn(text: str) -> str:
    """Text that Slack shows as it is written: its three special characters as it wants them, each sign that would format
    a word replaced by one that looks like it, and no address a link: Slack has no escape for those.
    """
    lines = (to_printable(line) for line in text.split("\n"))
    escaped = escape("\n".join(lines), quote=False)
    plain = _FORMATTING.sub(lambda match: _LOOK_ALIKES[match[0]], escaped)
    return plain.replace("://", ":\N{WORD JOINER}//")
