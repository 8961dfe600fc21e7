"""What the watchdog mends by itself, for real, and how it tells of it: once, at the right time, and never lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from services.actions.executor import execute
from services.actions.log_reader import ActionState, read_action_log
from services.alerts.actions import TEST_NOTIFICATION
from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, append_event, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.rules import get_rule
from services.alerts.slack import MAX_MESSAGES_PER_HOUR, alerts_to_notify, notify, within_rate_limit
from services.alerts.watchdog import run, run_check
from services.auth.roles import Actor, Role
from services.core.clock import FixedClock
from services.core.result import Health
from services.core.settings import Settings
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.common.fault_injection import Fault
from services.telemetry.dml_jobs import build_report
from services.telemetry.log_reader import LogLine
from tests.actions.pipeline import coordinator_server

ROOT = Path(__file__).parents[2]
SELF_HEALING = SelfHealingConfig()


@pytest.fixture
def slack_clients(fresh_sandbox):
    """The fortnight, with a channel."""
    env = {"SANDBOX_URL": fresh_sandbox.url, "SLACK_WEBHOOK_URL": f"{fresh_sandbox.url}/slack/webhook"}
    return connect(Settings.from_env(env))


def at_time(clients, *time_parts):
    return replace(clients, clock=FixedClock(datetime(*time_parts, tzinfo=UTC)))


def check_and_remediate(clients):
    check_result = run_check(clients, CheckCache(), SELF_HEALING)
    for handle in check_result.started_actions:
        handle.future.result(timeout=120)
    return check_result


def read_actions(clients):
    return read_action_log(clients, clients.now() - timedelta(days=1), clients.now() + timedelta(days=10)).actions


def test_the_watchdog_consolidates_a_leftover_batch_and_the_alert_closes(slack_clients, fresh_sandbox):
    scenario_clients = at_time(slack_clients, 2025, 12, 25, 17, 30)
    check_result = check_and_remediate(scenario_clients)
    assert [i.cause for i in check_result.incidents if i.game_date == date(2025, 12, 25)] == ["run"]
    [action] = [a for a in read_actions(scenario_clients) if a.action_name == "staging.consolidate"]
    assert (action.actor, action.state) == ("watchdog", ActionState.DONE), action.message
    assert "72 of 72 eligible players are active" in action.message
    [message] = [m["text"] for m in fresh_sandbox.state.slack_messages]
    assert "The watchdog has begun: Consolidate batch_2025-12-25" in message
    run_check(at_time(slack_clients, 2025, 12, 25, 17, 40), CheckCache(), SELF_HEALING)
    alert = next(a for a in read_alerts(slack_clients).alerts if a.cause == "run")
    assert alert.ended


def test_the_watchdog_resumes_a_stalled_batch_and_the_night_is_complete(slack_clients, fresh_sandbox):
    with coordinator_server(fresh_sandbox) as address:
        own_clients = replace(slack_clients, settings=replace(slack_clients.settings, coordinator_url=address))
        coordinator = BatchRunner(own_clients)
        coordinator.record_requested(coordinator.plan(date(2025, 12, 30), started_by="test"))
        scenario_clients = at_time(own_clients, 2025, 12, 30, 11, 30)
        assert "stalled" in {f.rule.name for i in check_and_remediate(scenario_clients).incidents for f in i.results}
        [action] = [a for a in read_actions(scenario_clients) if a.action_name == "run.resume"]
        assert (action.actor, action.state) == ("watchdog", ActionState.DONE), action.message
        assert "28 of 28 eligible players are active" in action.message
        after = run_check(at_time(own_clients, 2025, 12, 30, 11, 35), CheckCache(), SELF_HEALING).incidents
        # Of 29 December, which is open no more than its night is looked at, nothing; this process sends no log line anywhere.
        assert {i.cause for i in after if i.game_date != date(2025, 12, 29)} == {"staging", "sight-logs"}
    assert not [a for a in read_actions(scenario_clients) if "drop" in a.action_name]


def test_two_concurrent_watchdog_processes_notify_once(fresh_sandbox, slack_clients):
    env = {
        **os.environ,
        "SANDBOX_URL": fresh_sandbox.url,
        "SLACK_WEBHOOK_URL": slack_clients.settings.slack_webhook_url,
    }
    command = [sys.executable, "-m", "services.alerts.watchdog"]
    processes = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all("Watchdog looked: 2 incidents" in output for output in outputs)
    for alert in read_alerts(slack_clients).alerts:
        assert sum(alert.message[:30] in m["text"] for m in fresh_sandbox.state.slack_messages) == 1
        assert [e.event for e in alert.events] == ["opened", "telling", "told"]


def make_alert(number, now, event="opened"):
    fields = (event, now, WATCHDOG, f"cause{number}", None, Health.CRITICAL, "stalled", f"Trouble {number}")
    return Alert(f"cause{number}-x", (Event(f"cause{number}-x", 1, *fields),))


def test_forty_alerts_are_one_message_with_a_count(slack_clients, fresh_sandbox):
    alerts = [make_alert(n, slack_clients.now()) for n in range(40)]
    assert notify(slack_clients, alerts[:12]).ok
    [message] = fresh_sandbox.state.slack_messages
    assert message["text"].startswith("*12 alerts*")
    assert message["text"].endswith("… and 2 more")


def test_a_flapping_alert_notifies_six_times_an_hour_and_then_every_ten_minutes():
    now = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
    flapping = make_alert(1, now)
    for minute in range(MAX_MESSAGES_PER_HOUR):
        sent_at = now + timedelta(minutes=minute)
        assert within_rate_limit([flapping], sent_at)
        notified = flapping.new_event("told", sent_at, WATCHDOG, message_id=f"m{minute}")
        flapping = Alert(flapping.alert_id, (*flapping.events, notified))
    last_sent = now + timedelta(minutes=MAX_MESSAGES_PER_HOUR - 1)
    assert not within_rate_limit([flapping], last_sent + timedelta(minutes=9))
    assert within_rate_limit([flapping], last_sent + timedelta(minutes=10)), (
        "another alert does not wait for the end of the hour"
    )


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
    without_webhook = replace(slack_clients, settings=replace(slack_clients.settings, slack_webhook_url=""))
    nora = Actor("nora", Role.OPERATOR)
    assert (
        "The watchdog sends it"
        in execute(without_webhook, nora, TEST_NOTIFICATION, TEST_NOTIFICATION.plan(without_webhook, {})).message
    )
    run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert sum("Test message" in m["text"] for m in fresh_sandbox.state.slack_messages) == 1
    assert (
        execute(slack_clients, nora, TEST_NOTIFICATION, TEST_NOTIFICATION.plan(slack_clients, {"again": 1})).message
        == "Slack took it."
    )
    for _ in range(2):
        run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert sum("Test message" in m["text"] for m in fresh_sandbox.state.slack_messages) == 2, (
        "and nothing about their end"
    )
    assert not [a for a in read_alerts(slack_clients).alerts if a.cause == "test" and not a.ended]


def test_a_failed_remediation_does_not_prevent_the_notification(slack_clients, fresh_sandbox):
    fresh_sandbox.state.faults.set(Fault("run", "status", status=403))
    check_result = run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert check_result.delivery.ok
    assert {"writes", "sight"} <= {i.cause for i in check_result.incidents}


def test_an_internal_error_in_one_check_is_logged_and_does_not_crash(slack_clients, monkeypatch, caplog):
    monkeypatch.setattr("services.alerts.watchdog.evaluate_rules", lambda *_: 1 / 0)
    assert run(slack_clients, None, {}) == 1
    assert "Watchdog is blind: ZeroDivisionError" in caplog.text


def test_the_description_of_an_open_alert_is_updated_without_a_notification(slack_clients, fresh_sandbox):
    run_check(slack_clients, CheckCache(), SELF_HEALING)
    [alert] = [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"]
    older = alert.new_event(
        "updated", slack_clients.now(), WATCHDOG, sentence="Writes are being rejected: 5 writes rejected of 22"
    )
    assert append_event(slack_clients, older)
    check_result = run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert [e.event for e in check_result.recorded_events] == ["updated"]
    assert check_result.delivery is None
    [alert] = [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"]
    assert "90 writes rejected of 158" in alert.message


def test_rejections_spread_over_twenty_instances_are_counted_together():
    """The customer's worker counted in each process: 90 errors over 20 instances never were 5 in 60 s anywhere."""
    start = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
    lines = tuple(
        LogLine(
            start + timedelta(seconds=10 * n),
            "prediction-worker",
            f"instance-{n % 20}",
            "ERROR",
            f"Error writing to BigQuery for p{n}: 400 Too many DML statements outstanding",
            f"{n}",
        )
        for n in range(20)
    )
    assert build_report(start, start, None, lines, Settings.from_env({})).alert_at == start + timedelta(seconds=40)


def test_an_alert_of_a_removed_rule_still_renders():
    assert get_rule("dml_rejections").page == "dml_errors"
    assert get_rule("an_old_rule").hint == "Resolve the alert."
