"""Trying a channel: a test message to the first, a test page to the second, sent here or left to the watchdog."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from services.actions.log_reader import ActionState
from services.alerts import channel_tests
from services.alerts.alert_log import WATCHDOG, AlertState, read_alerts
from services.alerts.channel_tests import TEST_ESCALATION, TEST_NOTIFICATION
from services.alerts.escalation import due_page
from services.alerts.notification import alerts_to_notify
from services.alerts.pager import PageAction
from services.alerts.transport import Delivery
from services.core.result import Health
from tests.support.alert_factories import NOW
from tests.support.memory_records import MemoryRecords
from tests.unit.alerts.test_alert_actions import WEBHOOK, alert, make_context

PAGER = {"ESCALATION_FORMAT": "pagerduty", "ESCALATION_KEY": "routing-key", "ESCALATE_AFTER_MIN": "15"}


def send_test(records: MemoryRecords, monkeypatch: Any, env: Any, delivery: Delivery | None = None) -> Any:
    """The plan of a test message, its details, its verification and what the channel was given."""
    clients, send = records.clients(env), Mock(return_value=delivery)
    channel = SimpleNamespace(send=send)
    monkeypatch.setattr(
        channel_tests, "open_channel", lambda settings: channel if settings is clients.settings else None
    )
    plan = TEST_NOTIFICATION.plan(clients, {"n": 1})
    details = TEST_NOTIFICATION.apply(make_context(clients, plan))
    return plan, details, TEST_NOTIFICATION.verify(clients, plan, details), [call.args[0] for call in send.mock_calls]


@pytest.mark.parametrize(
    ("env", "channel", "who", "guard"),
    [
        (WEBHOOK, "set here", "now", "set."),
        ({}, "the watchdog's", "by the watchdog", "not set here; the watchdog sends it."),
    ],
)
def test_the_plan_of_a_test_message_says_who_sends_it(records, env, channel, who, guard):
    records.clock.advance(7.5)
    plan = TEST_NOTIFICATION.plan(records.clients(env), {"n": 1})
    assert (plan.action_name, plan.target, plan.args) == ("alerts.test", "slack", {"n": 1})
    assert plan.preconditions == {"channel": channel, "minute": NOW.isoformat()}
    assert (plan.planned_at, plan.failed_guards) == (NOW + timedelta(seconds=7.5), ())
    ((what, before, after),) = [(c.what, c.before, c.after) for c in plan.changes]
    assert (what, before, after) == ("notification", "", f"one, marked as a test, sent {who}")
    assert [(g.name, g.message) for g in plan.guards] == [("channel", f"SLACK_WEBHOOK_URL is {guard}")]


@pytest.mark.parametrize(
    ("delivery", "event", "state", "sentence"),
    [
        (Delivery(True, "delivered to Slack"), "told", ActionState.DONE, "Delivered to Slack."),
        (Delivery(False, "Slack said no"), "not told", ActionState.FAILED, "Slack said no."),
    ],
)
def test_a_test_message_is_sent_and_recorded_as_opened_sent_and_ended(
    records, monkeypatch, delivery, event, state, sentence
):
    _, details, verification, sent = send_test(records, monkeypatch, WEBHOOK, delivery)
    assert details == {"delivered": delivery.ok, "delivery": delivery.detail}
    assert (verification.state, verification.message, verification.after) == (state, sentence, {})
    test = alert(records.clients())
    assert [e.event for e in test.events] == ["opened", event, "resolved"]
    assert [e.sequence for e in test.events] == [1, 2, 3]
    assert [e.actor for e in test.events] == ["nora", WATCHDOG, WATCHDOG]
    assert {e.recorded_at for e in test.events} == {NOW}
    assert (test.events[1].notification_id, test.events[1].facts) == ("act1", {"delivery": delivery.detail})
    assert (test.alert_id, test.cause, test.game_date, test.rule) == ("test-act1", "test", None, "channel")
    assert (test.severity, test.state(NOW)) == (Health.OK, AlertState.RESOLVED)
    assert test.events[0].message == "Test notification from Prediction On-Call (by nora). No action needed."
    assert [[a.alert_id for a in alerts] for alerts in sent] == [["test-act1"]]


def test_without_a_channel_here_a_test_message_is_left_to_the_watchdog(records, monkeypatch):
    _, details, verification, sent = send_test(records, monkeypatch, {})
    assert (details, sent) == ({"asked": "test-act1"}, [])
    assert [e.event for e in alert(records.clients()).events] == ["opened"]
    assert (verification.state, verification.after) == (ActionState.DONE, {})


def test_a_test_message_of_a_process_that_died_is_unverified(records):
    plan = TEST_NOTIFICATION.plan(records.clients(WEBHOOK), {})
    assert TEST_NOTIFICATION.verify(records.clients(WEBHOOK), plan, {}).state is ActionState.UNVERIFIED


# --- a test page ------------------------------------------------------------------------------------------------------------


def test_the_plan_of_a_test_page_warns_that_somebody_may_be_paged(records):
    plan = TEST_ESCALATION.plan(records.clients(PAGER), {})
    assert (plan.action_name, plan.target, plan.failed_guards) == ("alerts.test_page", "second channel", ())
    assert plan.warnings == ("It may page the engineer on call.",)
    assert plan.guards[0].message == "The second channel is set."
    elsewhere = TEST_ESCALATION.plan(records.clients(), {})
    assert elsewhere.guards[0].message == "The second channel is not set here; the watchdog sends it."


def test_a_test_page_is_sent_recorded_and_owed_its_end_and_no_message_is_sent_to_the_first_channel(
    records, monkeypatch
):
    clients, send = records.clients(PAGER), Mock(return_value=Delivery(True, "accepted"))
    pager = SimpleNamespace(name="PagerDuty", send=send)
    monkeypatch.setattr(channel_tests, "open_pager", lambda _: pager)
    plan = TEST_ESCALATION.plan(clients, {})
    details = TEST_ESCALATION.apply(make_context(clients, plan))
    assert TEST_ESCALATION.verify(clients, plan, details).state is ActionState.DONE
    [page] = [call.args[0] for call in send.mock_calls]
    assert page.action is PageAction.TRIGGER
    test = alert(clients)
    assert [e.event for e in test.events] == ["opened", "escalated", "resolved"]
    end = due_page(test, clients.settings, NOW)
    assert end is not None
    assert (end.action, end.dedup_key) == (PageAction.RESOLVE, page.dedup_key)
    assert alerts_to_notify([test], NOW) == ()


def test_a_test_page_that_is_left_to_the_watchdog_is_due_at_once_whatever_the_minutes(records):
    clients = records.clients()
    details = TEST_ESCALATION.apply(make_context(clients, TEST_ESCALATION.plan(clients, {})))
    assert details == {"asked": "test-act1"}
    page = due_page(alert(clients), clients.settings, NOW)
    assert page is not None
    assert page.action is PageAction.TRIGGER
    assert read_alerts(clients).open == (), "a test is no alert"
    assert alerts_to_notify([alert(clients)], NOW) == ()
