"""Slack as a channel: only 200 and `ok` is a delivery, and what a message quotes cannot start markup of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from services.alerts import slack
from services.alerts.alert_log import Alert
from services.alerts.channels import channel_configured, open_channel
from services.alerts.slack import SlackTransport, format_message
from services.alerts.transport import Unreachable
from services.core.result import Health
from services.core.settings import Settings
from tests.unit.alerts.test_notification import make_alert
from tests.unit.alerts.test_transport import make_response

SETTINGS = Settings.from_env({"SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/secret"})
ALERT = make_alert(1, datetime(2025, 12, 29, 20, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("response", "ok", "detail"),
    [
        (make_response(200, "ok"), True, "delivered to Slack"),
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
        raise Unreachable(["ReadTimeout"] * 3)

    monkeypatch.setattr(slack, "post_json", fail)
    delivery = SlackTransport(SETTINGS).send([ALERT])
    assert (delivery.ok, delivery.detail) == (False, "Slack was not reached after 3 attempts: ReadTimeout")


def test_without_a_webhook_there_is_no_channel_and_every_delivery_says_so():
    without_webhook = Settings.from_env({})
    assert (channel_configured(SETTINGS), channel_configured(without_webhook)) == (True, False)
    assert open_channel(without_webhook).send([ALERT]).detail == "No channel is set: SLACK_WEBHOOK_URL is empty"


def test_the_text_of_an_alert_cannot_start_slack_markup():
    event = ALERT.new_event("updated", ALERT.since, "watchdog", message="<!channel> a & b")
    message = format_message([Alert(ALERT.alert_id, (*ALERT.events, event))], SETTINGS)
    assert "&lt;!channel&gt; a &amp; b" in message
    assert "<!channel>" not in message


# --- the message ------------------------------------------------------------------------------------------------------------

DASHBOARD = Settings.from_env({"DASHBOARD_URL": "https://on-call.example"})
NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)


def lines_of(alert: Alert) -> list[str]:
    return format_message([alert], DASHBOARD).split("\n")


def after(alert: Alert, event: str, **changes: Any) -> Alert:
    return Alert(alert.alert_id, (*alert.events, alert.new_event(event, NOW, "watchdog", **changes)))


def test_a_message_says_what_since_when_what_helps_and_where_the_evidence_is():
    assert lines_of(ALERT) == [
        "🔴 *Trouble 1* (since 15:00 ET)",
        "Resume the batch, or consolidate what is staged.",
        f"<{DASHBOARD.dashboard_url}/alerts?alert={ALERT.alert_id}|Open in Prediction On-Call>",
    ]


def test_the_first_command_that_a_result_has_is_shown():
    facts = {"findings": [{"command": ""}, {}, {"command": "curl -d '<a>'"}, {"command": "other"}]}
    assert lines_of(after(ALERT, "updated", facts=facts))[2] == "```curl -d '&lt;a&gt;'```"


def test_what_the_watchdog_has_begun_since_the_last_message_is_named():
    told = after(after(ALERT, "mending", reason="Resume a"), "told")
    assert "Auto-remediation started" not in format_message([told], DASHBOARD)
    begun = after(after(told, "mending", reason="Resume <b>"), "mending", reason="Resume c")
    assert lines_of(begun)[2:4] == [
        "Auto-remediation started: Resume &lt;b&gt;.",
        "Auto-remediation started: Resume c.",
    ]


@pytest.mark.parametrize(
    ("severity", "emoji"), [(Health.CRITICAL, "🔴"), (Health.WARNING, "🟠"), (Health.UNKNOWN, "🟣"), (Health.OK, "⚪")]
)
def test_each_severity_has_its_colour(severity, emoji):
    assert lines_of(after(ALERT, "updated", severity=severity))[0].startswith(f"{emoji} *Trouble 1*")


def test_an_alert_that_opened_again_says_so_with_its_new_time():
    reopened = ALERT.new_event("reopened", NOW + timedelta(hours=1), "watchdog", facts={"findings": []})
    again = Alert(ALERT.alert_id, (*ALERT.events, reopened))
    assert lines_of(again)[0] == "🔴 *again* *Trouble 1* (since 16:00 ET)"


def test_an_end_is_told_in_one_line_and_a_test_is_its_text():
    ended = after(after(ALERT, "updated", message="A & B"), "resolved", message="Quiet <now>.")
    assert lines_of(ended) == ["🟢 *Resolved* A &amp; B (Quiet &lt;now&gt;.)"]
    assert lines_of(make_alert("<3>", NOW, cause="test")) == ["Trouble &lt;3&gt;"]


@pytest.mark.parametrize(("count", "rest"), [(2, ""), (10, ""), (11, "\n… and 1 more"), (14, "\n… and 4 more")])
def test_many_alerts_are_one_message_with_their_number_and_ten_of_them(count, rest):
    alerts = [make_alert(number, NOW, cause="test") for number in range(count)]
    shown = "\n".join(f"Trouble {number}" for number in range(min(count, 10)))
    assert format_message(alerts, DASHBOARD) == f"*{count} alerts*\n{shown}{rest}"


def test_an_alert_of_a_night_is_linked_with_its_date():
    opened = replace(ALERT.latest_event, game_date=date(2025, 12, 29), rule="dml_rejections")
    url = slack.alert_url(DASHBOARD, Alert("a", (opened,)))
    assert url == f"{DASHBOARD.dashboard_url}/alerts?alert=a&date=2025-12-29"


def test_the_message_is_posted_to_the_webhook_as_text(monkeypatch):
    post = Mock(return_value=make_response(200))
    monkeypatch.setattr(slack, "post_json", post)
    open_channel(SETTINGS).send([ALERT])
    post.assert_called_once_with(SETTINGS.slack_webhook_url, {"text": format_message([ALERT], SETTINGS)})


def test_a_long_answer_is_cut_and_a_wait_of_thirty_seconds_is_none_to_name(monkeypatch):
    monkeypatch.setattr(slack, "post_json", lambda *_: make_response(500, "x" * 101))
    assert SlackTransport(SETTINGS).send([ALERT]).detail == f"Slack answered HTTP 500: {'x' * 100}"
    monkeypatch.setattr(slack, "post_json", lambda *_: make_response(429, "busy", Retry_After="30"))
    assert SlackTransport(SETTINGS).send([ALERT]).detail == "Slack answered HTTP 429: busy"
    monkeypatch.setattr(slack, "post_json", lambda *_: make_response(500, "busy", Retry_After="90"))
    assert SlackTransport(SETTINGS).send([ALERT]).detail == "Slack answered HTTP 500: busy"
    monkeypatch.setattr(slack, "post_json", lambda *_: make_response(201))
    assert not SlackTransport(SETTINGS).send([ALERT]).ok


def test_without_a_channel_a_delivery_fails():
    assert not open_channel(Settings.from_env({})).send([ALERT]).ok


HOSTILE = "*b* _i_ ~s~ `c` ```d``` <!channel> <http://evil.example|l> http://evil.example a_b_c \u202e\x1b[2K"


def test_no_text_of_others_formats_a_message_or_links_out_of_it():
    event = replace(ALERT.new_event("updated", ALERT.since, "watchdog", message=HOSTILE), reason=HOSTILE)
    message = format_message([Alert(ALERT.alert_id, (*ALERT.events, event))], SETTINGS)
    ours = message.replace(SETTINGS.dashboard_url, "")
    assert message.count("*") == 2, "our own bold"
    for markup in ("_i_", "~s~", "`c`", "<!channel>", "<http:", "://", "\u202e", "\x1b"):
        assert markup not in ours
    assert "a_b_c" in message, "a name can be copied"


def test_a_command_cannot_end_its_block_of_code():
    facts = {"findings": [{"command": "gcloud x ```<!channel>```\nrm"}]}
    event = replace(ALERT.new_event("updated", ALERT.since, "watchdog"), facts=facts)
    message = format_message([Alert(ALERT.alert_id, (*ALERT.events, event))], SETTINGS)
    assert message.count("```") == 2
    assert "<!channel>" not in message
