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

from services.actions.executor import run_action
from services.actions.log_reader import State, read_log
from services.alerts.actions import TEST
from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, append, read_alerts
from services.alerts.facts import Memory
from services.alerts.rules import rule_of
from services.alerts.slack import MESSAGES_PER_HOUR, deliver, due, may_send
from services.alerts.watchdog import look, watch
from services.auth.roles import Actor, Role
from services.core.clock import FixedClock
from services.core.result import Health
from services.core.settings import Settings
from services.gcp.clients import connect
from services.pipeline.coordinator.batch_runner import Coordinator
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.common.fault_injection import Fault
from services.telemetry.dml_jobs import report
from services.telemetry.log_reader import LogLine
from tests.actions.pipeline import own_coordinator

ROOT = Path(__file__).parents[2]
HEALING = SelfHealingConfig()


@pytest.fixture
def desk(fresh_sandbox):
    """The fortnight, with a channel."""
    env = {"SANDBOX_URL": fresh_sandbox.address, "SLACK_WEBHOOK_URL": f"{fresh_sandbox.address}/slack/webhook"}
    return connect(Settings.from_env(env))


def at(cloud, *when):
    return replace(cloud, clock=FixedClock(datetime(*when, tzinfo=UTC)))


def mend(cloud):
    done = look(cloud, Memory(), HEALING)
    for ticket in done.begun:
        ticket.end.result(timeout=120)
    return done


def actions(cloud):
    return read_log(cloud, cloud.now() - timedelta(days=1), cloud.now() + timedelta(days=10)).actions


def test_a_leftover_batch_is_consolidated_by_the_watchdog_told_of_and_over(desk, fresh_sandbox):
    then = at(desk, 2025, 12, 25, 17, 30)
    done = mend(then)
    assert [i.cause for i in done.incidents if i.night == date(2025, 12, 25)] == ["run"]
    [action] = [a for a in actions(then) if a.verb == "staging.consolidate"]
    assert (action.actor, action.state) == ("watchdog", State.DONE), action.sentence
    assert "72 of 72 eligible players are active" in action.sentence
    [message] = [m["text"] for m in fresh_sandbox.world.messages]
    assert "The watchdog has begun: Consolidate batch_2025-12-25" in message
    look(at(desk, 2025, 12, 25, 17, 40), Memory(), HEALING)
    alert = next(a for a in read_alerts(desk).alerts if a.cause == "run")
    assert alert.ended


def test_a_stalled_batch_of_ours_is_resumed_by_the_watchdog_and_the_night_is_whole(desk, fresh_sandbox):
    with own_coordinator(fresh_sandbox) as address:
        ours = replace(desk, settings=replace(desk.settings, coordinator_url=address))
        killed = Coordinator(ours)
        killed.begin(killed.plan(date(2025, 12, 30), started_by="test"))
        soon = at(ours, 2025, 12, 30, 11, 30)
        assert "stalled" in {f.rule.name for i in mend(soon).incidents for f in i.findings}
        [action] = [a for a in actions(soon) if a.verb == "run.resume"]
        assert (action.actor, action.state) == ("watchdog", State.DONE), action.sentence
        assert "28 of 28 eligible players are active" in action.sentence
        after = look(at(ours, 2025, 12, 30, 11, 35), Memory(), HEALING).incidents
        # Of 29 December, which is open no more than its night is looked at, nothing; this process sends no log line anywhere.
        assert {i.cause for i in after if i.night != date(2025, 12, 29)} == {"staging", "sight-logs"}
    assert not [a for a in actions(soon) if "drop" in a.verb]


def test_two_watchdogs_as_two_processes_at_once_raise_and_tell_once(fresh_sandbox, desk):
    env = {**os.environ, "SANDBOX_URL": fresh_sandbox.address, "SLACK_WEBHOOK_URL": desk.settings.slack_webhook_url}
    command = [sys.executable, "-m", "services.alerts.watchdog"]
    both = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("Watchdog looked: 2 incidents" in words for words in said)
    for alert in read_alerts(desk).alerts:
        assert sum(alert.sentence[:30] in m["text"] for m in fresh_sandbox.world.messages) == 1
        assert [e.event for e in alert.events] == ["opened", "telling", "told"]


def alert_of(number, now, event="opened"):
    told = (event, now, WATCHDOG, f"cause{number}", None, Health.CRITICAL, "stalled", f"Trouble {number}")
    return Alert(f"cause{number}-x", (Event(f"cause{number}-x", 1, *told),))


def test_a_storm_of_forty_alerts_is_one_message_that_counts_them(desk, fresh_sandbox):
    many = [alert_of(n, desk.now()) for n in range(40)]
    assert deliver(desk, many[:12]).ok
    [message] = fresh_sandbox.world.messages
    assert message["text"].startswith("*12 alerts*")
    assert message["text"].endswith("… and 2 more")


def test_what_flaps_is_told_six_times_an_hour_and_then_every_ten_minutes_with_all_that_waits():
    now = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
    flaps = alert_of(1, now)
    for minute in range(MESSAGES_PER_HOUR):
        then = now + timedelta(minutes=minute)
        assert may_send([flaps], then)
        told = flaps.next("told", then, WATCHDOG, message_id=f"m{minute}")
        flaps = Alert(flaps.alert_id, (*flaps.events, told))
    last = now + timedelta(minutes=MESSAGES_PER_HOUR - 1)
    assert not may_send([flaps], last + timedelta(minutes=9))
    assert may_send([flaps], last + timedelta(minutes=10)), "another alert does not wait for the end of the hour"


def test_an_alert_that_is_taken_while_slack_answers_is_recorded_as_told_and_not_sent_again(desk, fresh_sandbox):
    fresh_sandbox.world.faults.set(Fault("slack", "delay", seconds=1.5))
    sending = threading.Thread(target=look, args=(desk, Memory(), HEALING))
    sending.start()
    until = time.monotonic() + 30
    while (
        not (known := [a for a in read_alerts(desk).alerts if a.cause == "writes"])
        or known[0].newest.event != "telling"
    ):
        assert time.monotonic() < until
    assert append(desk, known[0].next("acknowledged", desk.now(), "nora"))
    sending.join(timeout=60)
    [alert] = [a for a in read_alerts(desk).alerts if a.cause == "writes"]
    assert [e.event for e in alert.events] == ["opened", "telling", "acknowledged", "told"]
    assert alert.state(desk.now()) is AlertState.ACKNOWLEDGED
    assert due([alert], desk.now() + timedelta(minutes=4)) == ()


def test_a_test_message_of_a_desk_without_the_channels_secret_is_sent_once_by_the_watchdog(desk, fresh_sandbox):
    """As deployed: only the watchdog may read Slack's address."""
    without = replace(desk, settings=replace(desk.settings, slack_webhook_url=""))
    nora = Actor("nora", Role.OPERATOR)
    assert "The watchdog sends it" in run_action(without, nora, TEST, TEST.plan(without, {})).sentence
    look(desk, Memory(), HEALING)
    assert sum("Test message" in m["text"] for m in fresh_sandbox.world.messages) == 1
    assert run_action(desk, nora, TEST, TEST.plan(desk, {"again": 1})).sentence == "Slack took it."
    for _ in range(2):
        look(desk, Memory(), HEALING)
    assert sum("Test message" in m["text"] for m in fresh_sandbox.world.messages) == 2, "and nothing about their end"
    assert not [a for a in read_alerts(desk).alerts if a.cause == "test" and not a.ended]


def test_where_mending_is_not_possible_the_alert_is_told_all_the_same(desk, fresh_sandbox):
    fresh_sandbox.world.faults.set(Fault("run", "status", status=403))
    done = look(desk, Memory(), HEALING)
    assert done.delivery.ok
    assert {"writes", "sight"} <= {i.cause for i in done.incidents}


def test_a_fault_of_our_own_in_one_look_is_logged_and_is_not_the_end_of_watching(desk, monkeypatch, caplog):
    monkeypatch.setattr("services.alerts.watchdog.judge", lambda *_: 1 / 0)
    assert watch(desk, None, {}) == 1
    assert "Watchdog is blind: ZeroDivisionError" in caplog.text


def test_the_figures_of_an_open_alert_follow_what_is_known_and_nobody_is_told_of_that(desk, fresh_sandbox):
    look(desk, Memory(), HEALING)
    [alert] = [a for a in read_alerts(desk).alerts if a.cause == "writes"]
    older = alert.next("updated", desk.now(), WATCHDOG, sentence="Writes are being rejected: 5 writes rejected of 22")
    assert append(desk, older)
    done = look(desk, Memory(), HEALING)
    assert [e.event for e in done.changed] == ["updated"]
    assert done.delivery is None
    [alert] = [a for a in read_alerts(desk).alerts if a.cause == "writes"]
    assert "90 writes rejected of 158" in alert.sentence


def test_refusals_spread_over_twenty_instances_are_counted_together():
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
    assert report(start, start, None, lines, Settings.from_env({})).alert_at == start + timedelta(seconds=40)


def test_an_alert_of_a_rule_that_is_gone_is_told_and_breaks_no_page():
    assert rule_of("dml_rejections").page == "dml_errors"
    assert rule_of("an_old_rule").remedy == "Resolve the alert."
