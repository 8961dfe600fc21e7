"""Slack as a channel: only 200 and `ok` is a delivery, and what a message quotes cannot start markup of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.alerts import slack
from services.alerts.alert_log import Alert
from services.alerts.channels import channel_configured, open_channel
from services.alerts.slack import SlackTransport, format_message
from services.alerts.transport import Unreachable
from services.core.settings import Settings
from tests.unit.alerts.test_notification import make_alert
from tests.unit.alerts.test_transport import make_response

SETTINGS = Settings.from_env({"SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/secret"})
ALERT = make_alert(1, datetime(2025, 12, 29, 20, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("response", "ok", "detail"),
    [
        (make_response(200, "ok"), True, "Slack took it"),
        (make_response(200, "<html>sign in</html>"), False, "Slack answered HTTP 200: <html>sign in</html>"),
        (make_response(404, "no_service"), False, "Slack answered HTTP 404: no_service"),
        (make_response(500, ""), False, "Slack answered HTTP 500: nothing"),
        (make_response(429, "", Retry_After="90"), False, "Slack asks to wait 90 s"),
        (make_response(429, "slow down", Retry_After="2"), False, "Slack answered HTTP 429: slow down"),
    ],
)
def test_only_slacks_own_ok_is_a_delivery(monkeypatch, response, ok, detail):
    monkeypatch.setattr(slack, "post_json", lambda *_: response)
    delivery = SlackTransport(SETTINGS).send([ALERT])
    assert (delivery.ok, delivery.detail) == (ok, detail)


def test_an_unreachable_slack_is_a_failed_delivery(monkeypatch):
    def fail(*_):
        raise Unreachable(3, "ReadTimeout")

    monkeypatch.setattr(slack, "post_json", fail)
    delivery = SlackTransport(SETTINGS).send([ALERT])
    assert (delivery.ok, delivery.detail) == (False, "Slack was not reached after 3 tries: ReadTimeout")


def test_without_a_webhook_there_is_no_channel_and_every_delivery_says_so():
    without_webhook = Settings.from_env({})
    assert (channel_configured(SETTINGS), channel_configured(without_webhook)) == (True, False)
    assert open_channel(without_webhook).send([ALERT]).detail == "No channel is set: SLACK_WEBHOOK_URL is empty"


def test_the_text_of_an_alert_cannot_start_slack_markup():
    event = ALERT.new_event("updated", ALERT.since, "watchdog", message="<!channel> a & b")
    message = format_message([Alert(ALERT.alert_id, (*ALERT.events, event))], SETTINGS)
    assert "&lt;!channel&gt; a &amp; b" in message
    assert "<!channel>" not in message
