"""An alert's card says how each notification of it went, and when it goes to the second channel."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.panels import alert_cards, alert_page
from app.state import session
from services.alerts.actions import ACKNOWLEDGE
from services.auth.roles import Actor, Role
from services.core.settings import Settings
from tests.unit.alerts.test_escalation import NOTIFIED, NOW, paged
from tests.unit.alerts.test_notification import after, make_alert


@pytest.fixture
def card(monkeypatch):
    """The card's line about notifications with this setting."""

    def text(alert, minutes="15"):
        clients = SimpleNamespace(settings=Settings.from_env({"ESCALATE_AFTER_MIN": minutes}))
        monkeypatch.setattr(session, "cached_clients", lambda: clients)
        monkeypatch.setattr(session, "now", lambda: NOW + timedelta(minutes=5))
        return alert_cards.notification_text(alert)

    return text


def test_each_notification_is_listed_with_its_channel_time_and_result():
    told = after(make_alert(1, NOW), ("told", 2), facts={"delivery": "Slack took it"}, notification_id="m1")
    claimed = after(told, ("telling", 3), notification_id="m2")
    failed = paged(claimed, 17, event="not escalated")
    rows = alert_page.notification_rows(failed)
    assert [(row["time"], row["channel"], row["result"], row["detail"]) for row in rows] == [
        ("29 Dec 15:17 ET (20:17 UTC)", "webhook", "failed", "accepted"),
        ("29 Dec 15:03 ET (20:03 UTC)", "Slack", "not confirmed", "no result recorded"),
        ("29 Dec 15:02 ET (20:02 UTC)", "Slack", "delivered", "delivered to Slack"),
    ]
    assert alert_page.notification_rows(make_alert(1, NOW)) == []


def test_events_of_earlier_versions_are_shown_in_todays_words():
    recorded = after(make_alert(1, NOW), ("mending", 1), ("telling", 2), ("told", 3), ("not told", 4), ("paused", 5))
    assert [row["event"] for row in alert_page.event_rows(recorded)] == [
        "paused",
        "notification failed",
        "notified",
        "auto-remediation started",
        "opened",
    ]


def test_the_card_says_when_the_alert_is_escalated_unless_somebody_acknowledges_it(card):
    assert card(NOTIFIED).startswith("Slack notified 15:02:00 ET")
    assert card(NOTIFIED).endswith(" · pages at 15:17 ET (20:17 UTC) unless acknowledged")
    assert "pages at" not in card(NOTIFIED, minutes="0")
    assert "pages at" not in card(after(NOTIFIED, ("acknowledged", 3)))
    assert "pages at" not in card(paged(NOTIFIED, 4))
    assert card(make_alert(1, NOW)) == "no notification sent"


@pytest.fixture
def button(monkeypatch):
    """The buttons of a page that offers to acknowledge this alert, and what was submitted by them."""
    submitted = []
    monkeypatch.setattr(session, "now", lambda: NOW)
    monkeypatch.setattr(alert_cards, "submit_plan", lambda *submission: submitted.append(submission))

    def page(alert):
        from app.panels import alert_cards

        alert_cards.acknowledge_button(alert)

    def open_page(alert, role=Role.OPERATOR, running=False):
        monkeypatch.setattr(session, "actor", lambda: Actor("nora", role))
        monkeypatch.setattr(alert_cards, "is_running", lambda _: running)
        return AppTest.from_function(page, args=(alert,)).run()

    return open_page, submitted


def test_one_click_acknowledges_an_open_alert(button):
    open_page, submitted = button
    app = open_page(make_alert(1, NOW))
    app.button[0].click().run()
    ((action_type, plan),) = submitted
    assert (action_type, plan.target, plan.failed_guards) == (ACKNOWLEDGE, make_alert(1, NOW).alert_id, ())
    assert plan.changes[0].after == "acknowledged"


def test_what_cannot_be_acknowledged_has_no_button(button):
    open_page, _ = button
    assert not open_page(make_alert(1, NOW), Role.VIEWER).button
    assert not open_page(after(make_alert(1, NOW), ("acknowledged", 2))).button
    running = open_page(make_alert(1, NOW), running=True).button[0]
    assert (running.label, running.disabled) == ("Acknowledging…", True)
