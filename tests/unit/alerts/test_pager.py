"""The second channel: the shapes of PagerDuty, Opsgenie and a plain webhook, what counts as a delivery, and that no text has a key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.alerts import pager
from services.alerts.alert_log import Alert
from services.alerts.channels import open_pager
from services.alerts.pager import Page, PageAction, pager_configured, pager_name
from services.alerts.transport import Unreachable
from services.core.env_settings import describe
from services.core.errors import SettingsError
from services.core.result import Health
from services.core.settings import Settings
from tests.unit.alerts.test_notification import make_alert
from tests.unit.alerts.test_transport import make_response

SINCE = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
ALERT = make_alert(1, SINCE)
KEY, SECRET = "project:run-2025-12-29:1", "0123456789abcdef0123456789abcdef"
FORMATS = ("webhook", "pagerduty", "opsgenie")


def configured(format_name: str, **env: str) -> Settings:
    url = {"ESCALATION_URL": "https://pager.example/hooks/token-in-path"} if format_name == "webhook" else {}
    return Settings.from_env(
        {
            "ESCALATION_FORMAT": format_name,
            "ESCALATION_KEY": SECRET,
            "DASHBOARD_URL": "https://on-call.example",
            **url,
            **env,
        }
    )


@pytest.fixture
def send(monkeypatch):
    """Sends a page; gives the delivery, and the address, body and headers of the one call."""

    def run(settings: Settings, action: PageAction, alert: Alert = ALERT, outcome: Any = None) -> Any:
        calls: list[Any] = []

        def post(url: str, body: Any, headers: Any = None) -> Any:
            calls.append((url, body, headers))
            if isinstance(outcome, Exception):
                raise outcome
            return make_response(202, "{}") if outcome is None else outcome

        monkeypatch.setattr(pager, "post_json", post)
        delivery = open_pager(settings).send(Page(action, alert, KEY))
        return delivery, *calls[0]

    return run


def test_pagerduty_is_sent_an_event_with_the_dedup_key(send):
    delivery, url, body, _ = send(configured("pagerduty"), PageAction.TRIGGER)
    assert (delivery.ok, delivery.detail) == (True, "PagerDuty accepted the page")
    assert url == "https://events.pagerduty.com/v2/enqueue"
    assert body == {
        "routing_key": SECRET,
        "event_action": "trigger",
        "dedup_key": KEY,
        "payload": {
            "summary": "Trouble 1",
            "source": "nba-props-platform",
            "severity": "critical",
            "timestamp": "2025-12-29T20:00:00+00:00",
            "class": "stalled",
            "custom_details": {
                "project": "nba-props-platform",
                "rule": "stalled",
                "game_date": "",
                "hint": "Resume the batch, or consolidate what is staged.",
            },
        },
        "client": "Prediction On-Call",
        "client_url": "https://on-call.example/alerts?alert=cause1-x",
    }
    for action in (PageAction.ACKNOWLEDGE, PageAction.RESOLVE):
        _, _, body, _ = send(configured("pagerduty"), action)
        assert body == {"routing_key": SECRET, "event_action": str(action), "dedup_key": KEY}


def test_opsgenie_is_sent_an_alert_whose_alias_is_the_dedup_key(send):
    delivery, url, body, headers = send(configured("opsgenie"), PageAction.TRIGGER)
    assert (delivery.ok, url) == (True, "https://api.opsgenie.com/v2/alerts")
    assert headers == {"Authorization": f"GenieKey {SECRET}"}
    assert (body["message"], body["alias"], body["priority"]) == ("Trouble 1", KEY, "P1")
    assert "https://on-call.example/alerts?alert=cause1-x" in body["description"]
    address = "https://api.eu.opsgenie.com/v2/alerts"
    for action, verb in ((PageAction.ACKNOWLEDGE, "acknowledge"), (PageAction.RESOLVE, "close")):
        _, url, _, headers = send(configured("opsgenie", ESCALATION_URL=address), action)
        assert url == f"{address}/project%3Arun-2025-12-29%3A1/{verb}?identifierType=alias"
        assert headers == {"Authorization": f"GenieKey {SECRET}"}


def test_a_webhook_is_sent_json_of_our_own_with_the_action_and_the_key(send):
    night = Alert("a", (ALERT.new_event("opened", SINCE, "watchdog", game_date=date(2025, 12, 29)),))
    delivery, url, body, headers = send(configured("webhook"), PageAction.RESOLVE, night, make_response(204, ""))
    assert (delivery.ok, delivery.detail) == (True, "webhook accepted the resolution")
    assert (url, headers) == (
        "https://pager.example/hooks/token-in-path",
        {"Authorization": f"Bearer {SECRET}"},
    )
    assert (body["action"], body["dedup_key"], body["severity"]) == ("resolve", KEY, "critical")
    assert (body["game_date"], body["url"]) == ("2025-12-29", "https://on-call.example/alerts?alert=a&date=2025-12-29")
    assert send(configured("webhook", ESCALATION_KEY=""), PageAction.TRIGGER)[3] == {}


@pytest.mark.parametrize(
    ("severity", "pagerduty", "opsgenie"),
    [
        (Health.CRITICAL, "critical", "P1"),
        (Health.UNKNOWN, "error", "P2"),
        (Health.WARNING, "warning", "P3"),
        (Health.OK, "info", "P5"),
    ],
)
def test_each_severity_has_its_urgency(send, severity, pagerduty, opsgenie):
    alert = make_alert(1, SINCE, severity=severity)
    assert send(configured("pagerduty"), PageAction.TRIGGER, alert)[2]["payload"]["severity"] == pagerduty
    assert send(configured("opsgenie"), PageAction.TRIGGER, alert)[2]["priority"] == opsgenie


def test_a_long_sentence_is_cut_to_what_the_receiver_takes(send):
    long = Alert("a", (ALERT.new_event("opened", SINCE, "watchdog", message="x" * 2000),))
    assert len(send(configured("pagerduty"), PageAction.TRIGGER, long)[2]["payload"]["summary"]) == 1024
    body = send(configured("opsgenie"), PageAction.TRIGGER, long)[2]
    assert (len(body["message"]), "x" * 2000 in body["description"]) == (130, True)


@pytest.mark.parametrize(
    ("format_name", "status", "ok"),
    [
        ("webhook", 200, True),
        ("webhook", 302, False),
        ("pagerduty", 200, False),
        ("pagerduty", 400, False),
        ("opsgenie", 202, True),
        ("opsgenie", 422, False),
        ("opsgenie", 503, False),
    ],
)
def test_only_the_receivers_own_acceptance_is_a_delivery(send, format_name, status, ok):
    delivery = send(configured(format_name), PageAction.TRIGGER, outcome=make_response(status, "no"))[0]
    assert delivery.ok is ok
    if not ok:
        assert delivery.detail == f"{pager_name(configured(format_name))} answered HTTP {status}: no"


@pytest.mark.parametrize("format_name", FORMATS)
def test_neither_key_nor_address_is_in_a_delivery_or_in_the_settings(send, format_name):
    settings = configured(format_name)
    echo = make_response(400, f"POST /hooks/token-in-path with {SECRET} and {settings.escalation_url} refused")
    texts = [
        send(settings, PageAction.TRIGGER, outcome=echo)[0].detail,
        send(settings, PageAction.TRIGGER, outcome=Unreachable(["ReadTimeout"]))[0].detail,
        repr(settings),
        describe(settings),
    ]
    for text in texts:
        assert SECRET not in text
        assert "token-in-path" not in text or format_name != "webhook"
    assert texts[1] == f"{pager_name(settings)} was not reached at the first attempt: ReadTimeout"


def test_a_second_channel_is_set_by_its_key_or_a_webhook_by_its_address():
    assert not pager_configured(Settings.from_env({}))
    assert pager_configured(Settings.from_env({"ESCALATION_URL": "https://pager.example/v1"}))
    assert not pager_configured(Settings.from_env({"ESCALATION_KEY": SECRET}))
    for preset in ("pagerduty", "opsgenie"):
        assert pager_configured(Settings.from_env({"ESCALATION_FORMAT": preset, "ESCALATION_KEY": SECRET}))
        assert not pager_configured(Settings.from_env({"ESCALATION_FORMAT": preset, "ESCALATION_URL": "https://a.b"}))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ESCALATION_FORMAT", "PagerDuty "),
        ("ESCALATION_KEY", "two words"),
        ("ESCALATION_KEY", "smart\u201dquote"),
        ("ESCALATION_URL", "pager.example/v1"),
        ("ESCALATE_AFTER_MIN", "-1"),
        ("ESCALATE_AFTER_MIN", "15.5"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_and_a_secret_is_not_repeated(variable, value):
    with pytest.raises(SettingsError, match=variable) as refusal:
        Settings.from_env({variable: value})
    if variable in ("ESCALATION_KEY", "ESCALATION_URL"):
        assert value not in str(refusal.value)
