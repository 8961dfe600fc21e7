"""The watchdog over HTTP: 29 December as it went, two watchdogs at once, unreadable sources, and what a check costs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from services.actions.log_reader import ActionState, read_action_log
from services.alerts.alert_log import WATCHDOG, AlertState, append_event, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.incidents import Incident
from services.alerts.watchdog import run, run_check
from services.batches.ledger import Ledger
from services.batches.state import BatchState
from services.core.tables import PREDICTIONS_TABLE
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.common.fault_injection import Fault
from services.sandbox.scenarios import rows
from services.sandbox.scenarios.slate import build_slates
from tests.support.alert_factories import make_batch_record
from tests.support.clock import FixedClock
from tests.support.factories import NIGHT
from tests.support.incident_replay import FIFTH_REJECTION, SELF_HEALING, IncidentReplay


@pytest.fixture
def incident_replay():
    night = IncidentReplay()
    yield night
    night.sandbox.stop()


def test_29_december_is_one_incident_one_message_one_remediation_and_closes_after_the_repair(incident_replay):
    incidents: Sequence[Incident] = ()
    while not incidents:
        last_ok_at = incident_replay.clock.now()
        incident_replay.clock.advance(60)
        incidents = [i for i in incident_replay.run_check().incidents if i.cause == "writes"]
    assert last_ok_at < FIFTH_REJECTION <= incident_replay.clock.now(), (
        "one look after the fifth rejection, not seven hours later"
    )
    assert [i.rule.name for i in incidents] == ["dml_rejections"]
    assert len(incident_replay.messages) == 1
    assert "Scale the workers down to 4 × 3" in incident_replay.messages[0]["text"]
    assert "Auto-remediation started: Reduce prediction-worker" in incident_replay.messages[0]["text"]
    assert "/alerts?alert=writes-2025-12-29&date=2025-12-29" in incident_replay.messages[0]["text"]
    incident_replay.load_rows(**incident_replay.later_rows)
    for _ in range(5):
        incident_replay.clock.advance(60)
        check_result = incident_replay.run_check()
    assert [i.cause for i in check_result.incidents] == ["writes"]
    assert "coverage" in {f.rule.name for f in check_result.incidents[0].results}
    [alert] = read_alerts(incident_replay.clients).alerts
    assert "90 of 158 writes rejected" in alert.message, "the page shows what is known now"
    assert "coverage" in {f["rule"] for f in alert.rule_results}
    assert len(incident_replay.messages) == 1
    log = read_action_log(
        incident_replay.clients,
        incident_replay.clock.now() - timedelta(hours=1),
        incident_replay.clock.now() + timedelta(hours=1),
    )
    assert [(a.action_name, a.actor, a.state) for a in log.actions] == [
        ("scaling.narrow", "watchdog", ActionState.DONE)
    ]
    _simulate_repair(incident_replay)
    incident_replay.run_check()
    [alert] = read_alerts(incident_replay.clients).alerts
    assert alert.state(incident_replay.clock.now()) is AlertState.RESOLVED
    assert "Resolved" in incident_replay.messages[-1]["text"]
    assert len(incident_replay.messages) == 2
    incident_replay.clock.advance(60 * 60)
    incident_replay.run_check()
    log = read_action_log(
        incident_replay.clients,
        incident_replay.clock.now() - timedelta(hours=3),
        incident_replay.clock.now() + timedelta(hours=1),
    )
    assert [(a.action_name, a.actor, a.state) for a in log.actions if a.action_name.startswith("scaling")] == [
        ("scaling.restore", "watchdog", ActionState.DONE),
        ("scaling.narrow", "watchdog", ActionState.DONE),
    ], "restored when calm"


def _simulate_repair(replay) -> None:
    """What a re-run through staging leaves: rows for everybody, and a batch with its sums in the ledger."""
    slate = next(s for s in build_slates() if s.game_date == NIGHT)
    written_players = {row["player_lookup"] for row in replay.later_rows[PREDICTIONS_TABLE]}
    missing_entries = [e for e in slate.eligible if e.player.lookup not in written_players]
    replay.clock.advance(60)
    prediction_rows = [row for e in missing_entries for row in rows.prediction_rows(slate, e, replay.clock.now())]
    replay.load_rows(**{PREDICTIONS_TABLE: prediction_rows})
    row_counts = {
        "produced_rows": len(prediction_rows),
        "staged_rows": len(prediction_rows),
        "distinct_keys": len(prediction_rows),
        "inserted": len(prediction_rows),
    }
    batch_record = make_batch_record(
        batch_id="batch_2025-12-29_1767038820000",
        requested=len(missing_entries),
        generated=len(missing_entries),
        **row_counts,
    )
    Ledger(replay.clients).append_state(batch_record)
    replay.clock.advance(60)
    assert batch_record.state is BatchState.CONSOLIDATED


def test_two_concurrent_watchdogs_notify_each_alert_once(short_timeout_slack_clients, fresh_sandbox):
    ready = threading.Barrier(2)

    def check_once():
        ready.wait()
        run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)

    threads = [threading.Thread(target=check_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    alerts = read_alerts(short_timeout_slack_clients).alerts
    assert {a.cause for a in alerts} == {"writes", "staging"}
    for alert in alerts:
        assert [e.event for e in alert.events] == ["opened", "telling", "told"]
        messages = [m for m in fresh_sandbox.state.slack_messages if alert.message[:30] in m["text"]]
        assert len(messages) == 1


def test_alerts_events_omits_long_resolved_alerts_and_keeps_open_ones(short_timeout_slack_clients):
    run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    future = short_timeout_slack_clients.now() + timedelta(days=40)
    future_clients = replace(short_timeout_slack_clients, clock=FixedClock(future))
    assert {alert.alert_id for alert in read_alerts(future_clients).alerts} == {
        "writes-2025-12-29",
        "staging-2025-12-30",
    }


def test_an_unreadable_log_is_an_unknown_alert(short_timeout_slack_clients, fresh_sandbox):
    fresh_sandbox.state.faults.set(Fault("logging", "status", status=403))
    check_result = run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    assert "sight" in {i.cause for i in check_result.incidents}


def test_an_empty_log_is_an_unknown_alert_and_not_ok(short_timeout_slack_clients, fresh_sandbox):
    fresh_sandbox.state.faults.set(Fault("logging", "empty"))
    assert "sight-logs" in {
        i.cause for i in run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING).incidents
    }


def test_a_watchdog_that_cannot_read_its_alerts_reports_it_and_fails(
    short_timeout_slack_clients, fresh_sandbox, caplog
):
    fresh_sandbox.state.faults.set(Fault("bigquery", "status", status=403))
    assert run(short_timeout_slack_clients, None, {}) == 1
    assert "Watchdog can't read its sources" in caplog.text


def test_a_second_check_bills_one_small_query_and_a_third_none(short_timeout_slack_clients, fresh_sandbox):
    memory, meter = CheckCache(), fresh_sandbox.state.meter
    run_check(short_timeout_slack_clients, memory, SELF_HEALING)
    meter.reset()
    run_check(short_timeout_slack_clients, memory, SELF_HEALING)  # what the first look recorded
    usage = meter.to_json()
    assert usage["bytesBilled"] <= 10 * 1024 * 1024
    assert usage["calls"]["logging.entries.list"] <= 2
    meter.reset()
    run_check(short_timeout_slack_clients, memory, SELF_HEALING)
    usage = meter.to_json()
    assert usage["bytesBilled"] == 0
    assert "bigquery.JobService.insertJob" not in usage["calls"]
    assert usage["calls"]["logging.entries.list"] <= 2


def test_the_automatic_scale_down_can_be_disabled(incident_replay):
    disabled = SelfHealingConfig.from_env({"SELF_HEALING_AUTO_REDUCE_CONCURRENCY": "false"})
    incident_replay.clock.advance(180)
    check_result = run_check(incident_replay.clients, CheckCache(), disabled)
    assert "dml_rejections" in {i.rule.name for i in check_result.incidents}
    assert check_result.started_actions == ()
    [started] = incident_replay.run_check().started_actions
    assert started.title.startswith("Reduce prediction-worker"), "enabled, the same night starts it"


def test_an_internal_error_in_one_check_is_logged_and_does_not_crash(slack_clients, monkeypatch, caplog):
    monkeypatch.setattr("services.alerts.present.evaluate_rules", lambda *_: 1 / 0)
    assert run(slack_clients, None, {}) == 1
    assert "Watchdog can't read its sources: ZeroDivisionError" in caplog.text


def test_the_description_of_an_open_alert_is_updated_without_a_notification(slack_clients, fresh_sandbox):
    run_check(slack_clients, CheckCache(), SELF_HEALING)
    [alert] = [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"]
    older = alert.new_event(
        "updated", slack_clients.now(), WATCHDOG, message="Writes rejected (DML limit): 5 of 22 writes rejected"
    )
    assert append_event(slack_clients, older)
    check_result = run_check(slack_clients, CheckCache(), SELF_HEALING)
    assert [e.event for e in check_result.recorded_events] == ["updated"]
    assert check_result.delivery is None
    [alert] = [a for a in read_alerts(slack_clients).alerts if a.cause == "writes"]
    assert "90 of 158 writes rejected" in alert.message
