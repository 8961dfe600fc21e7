"""Notifications over HTTP to the sandbox's Slack: one message for many alerts, failures shown and retried, nothing sent twice."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

from services.actions.executor import execute
from services.alerts import transport
from services.alerts.alert_log import AlertState, append_event, read_alerts
from services.alerts.channel_tests import TEST_NOTIFICATION
from services.alerts.channels import open_channel
from services.alerts.facts import CheckCache
from services.alerts.notification import alerts_to_notify, notify
from services.alerts.watchdog import run_check
from services.auth.roles import Actor, Role
from services.core.env_settings import describe
from services.core.settings import Settings
from services.sandbox.common.fault_injection import Fault
from tests.support.clock import FixedClock
from tests.support.incident_replay import SELF_HEALING
from tests.unit.alerts.test_notification import make_alert


def test_forty_alerts_are_one_message_with_a_count(slack_clients, fresh_sandbox):
    alerts = [make_alert(n, slack_clients.now()) for n in range(40)]
    delivery = notify(slack_clients, alerts[:12])
    assert delivery is not None
    assert delivery.ok
    [message] = fresh_sandbox.state.slack_messages
    assert message["text"].startswith("*12 alerts*")
    assert message["text"].endswith("… and 2 more")


def test_an_alert_acknowledged_during_delivery_is_recorded_as_notified_once(slack_clients, fresh_sandbox):
    fresh_sandbox.state.faults.set(Fault("slack", "delay", seconds=1.5))
    sending = threading.Thread(target=run_check, args=(slack_clients, CheckCache(), SELF_HEALING))
    sending.start()
    deadline = time.monotonic() + 30
    while (
        not (open_alerts := [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"])
        or open_alerts[0].latest_event.event != "telling"
    ):
        assert time.monotonic() < deadline
    assert append_event(slack_clients, open_alerts[0].new_event("acknowledged", slack_clients.now(), "nora"))
    sending.join(timeout=60)
    [alert] = [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"]
    assert [e.event for e in alert.events] == ["opened", "telling", "acknowledged", "told"]
    assert alert.state(slack_clients.now()) is AlertState.ACKNOWLEDGED
    assert alerts_to_notify([alert], slack_clients.now() + timedelta(minutes=4)) == ()


def test_a_test_message_without_the_webhook_is_sent_once_by_the_watchdog(slack_clients, fresh_sandbox):
    """As deployed: only the watchdog may read Slack's address."""
    without_webhook = replace(
        slack_clients, settings=slack_clients.settings.model_copy(update={"slack_webhook_url": ""})
    )
    nora = Actor("nora", Role.OPERATOR)
    assert (
        "the watchdog sends it"
        in execute(without_webhook, nora, TEST_NOTIFICATION, TEST_NOTIFICATION.plan(without_webhook, {})).message
    )
    run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert sum("Test notification" in m["text"] for m in fresh_sandbox.state.slack_messages) == 1
    assert (
        execute(slack_clients, nora, TEST_NOTIFICATION, TEST_NOTIFICATION.plan(slack_clients, {"again": 1})).message
        == "Delivered to Slack."
    )
    for _ in range(2):
        run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert sum("Test notification" in m["text"] for m in fresh_sandbox.state.slack_messages) == 2, (
        "and nothing about their end"
    )
    assert not [a for a in read_alerts(slack_clients).alerts if a.cause == "test" and not a.ended]


def test_a_failed_slack_delivery_is_shown_and_retried(short_timeout_slack_clients, fresh_sandbox, monkeypatch):
    monkeypatch.setattr(transport, "MAX_ATTEMPTS", 2)
    fresh_sandbox.state.faults.set(Fault("slack", "status", status=503))
    first = run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    assert first.delivery is not None
    assert not first.delivery.ok
    assert "503" in first.delivery.detail
    assert short_timeout_slack_clients.settings.slack_webhook_url not in first.delivery.detail
    assert fresh_sandbox.state.meter.calls["slack.webhook"] >= 2, "it was tried again"
    fresh_sandbox.state.faults.clear()
    second = run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    assert "channel" in {i.cause for i in second.incidents}
    assert second.delivery is None, "a failed channel is left alone for a minute"
    later_clients = replace(
        short_timeout_slack_clients, clock=FixedClock(short_timeout_slack_clients.now() + timedelta(minutes=2))
    )
    third = run_check(later_clients, CheckCache(), SELF_HEALING)
    assert third.delivery is not None
    assert third.delivery.ok
    assert "channel" in {a.cause for a in read_alerts(later_clients).open}, "the third check began before the delivery"
    fourth = run_check(later_clients, CheckCache(), SELF_HEALING)
    assert "channel" not in {i.cause for i in fourth.incidents}
    assert "channel" not in {a.cause for a in read_alerts(later_clients).open}


def test_silenced_and_acknowledged_alerts_are_not_notified_again(short_timeout_slack_clients):
    run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    [alert] = [a for a in read_alerts(short_timeout_slack_clients).alerts if a.cause == "writes"]
    after_silence = short_timeout_slack_clients.now() + timedelta(hours=2)
    assert alerts_to_notify([alert], after_silence) == (alert,), "a critical one that nobody took is told again"
    acknowledged = alert.new_event("acknowledged", short_timeout_slack_clients.now(), "nora")
    assert append_event(short_timeout_slack_clients, acknowledged)
    assert not append_event(short_timeout_slack_clients, replace(acknowledged, actor="olaf")), (
        "alerts.append claims a number once"
    )
    [alert] = [a for a in read_alerts(short_timeout_slack_clients).alerts if a.cause == "writes"]
    assert (alert.state(after_silence), alerts_to_notify([alert], after_silence)) == (AlertState.ACKNOWLEDGED, ())
    silenced = alert.new_event(
        "silenced",
        short_timeout_slack_clients.now(),
        "nora",
        silent_until=short_timeout_slack_clients.now() + timedelta(hours=1),
    )
    append_event(short_timeout_slack_clients, silenced)
    [alert] = [a for a in read_alerts(short_timeout_slack_clients).alerts if a.cause == "writes"]
    assert alert.state(short_timeout_slack_clients.now()) is AlertState.SILENCED
    assert alert.state(after_silence) is AlertState.OPEN


def test_the_webhook_is_never_shown(settings):
    secret = "https://hooks.slack.example/services/T0/B0/abc"
    with_channel = Settings.from_env({"SLACK_WEBHOOK_URL": secret})
    assert secret not in describe(with_channel) + repr(with_channel)
    assert "not set" in describe(settings)
    assert open_channel(settings).send([]).detail == "No channel is set: SLACK_WEBHOOK_URL is empty"
