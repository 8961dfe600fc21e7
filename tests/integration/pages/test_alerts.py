"""The alerts page: what is open whatever the date, and what helps."""

from __future__ import annotations

import pytest


@pytest.fixture
def clients(checked_sandbox):
    return checked_sandbox[0]


@pytest.fixture
def sandbox(checked_sandbox, monkeypatch):
    """The page fixture opens this sandbox."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{checked_sandbox[1].url}/slack/webhook")
    return checked_sandbox[1]


def test_the_page_lists_open_alerts_of_any_date_with_their_remedy(open_page):
    screen = open_page("alerts", date="2025-12-18")
    assert "2 open alerts" in screen.verdict
    assert "Writes rejected (DML limit): 90 of 158 writes rejected" in screen.text
    assert "Scale the workers down to 4 × 3" in screen.text
    assert "Slack notified" in screen.text
    assert "Watchdog hasn't run for 10 min" in screen.text, "its log is empty here, and that is said"
    assert "Scheduled jobs (9)" in screen.text


def test_the_page_of_an_alert_has_its_history_its_notifications_and_its_command(open_page):
    screen = open_page("alerts", alert="writes-2025-12-29")
    assert "Writes rejected (DML limit)" in screen.verdict
    assert "delivered to Slack" in screen.text
    assert "opened" in screen.text
    assert screen.app.code[0].value.startswith(("gcloud run services update", "curl"))
    assert "Alert not found" in open_page("alerts", alert="<b>nothing</b>").verdict


def test_an_alert_and_the_headline_of_its_night_name_one_time(open_page):
    assert "since 29 Dec 14:47 ET (19:47 UTC)" in open_page("alerts").text, (
        "when the writes failed, not when it was opened"
    )
    assert "14:47 ET" in open_page().verdict


def test_the_page_lists_each_rule_and_threshold_with_its_present_value(open_page, monkeypatch):
    monkeypatch.setenv("ORPHAN_AFTER_H", "30")
    screen = open_page("alerts")
    assert "older than 30 h, or within 24 h of their expiry" in screen.text
    assert "ORPHAN_AFTER_H" in screen.text
    assert "watchdog uses other thresholds" not in screen.text
