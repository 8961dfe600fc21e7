"""The watchdog over HTTP: 29 December as it went, two watchdogs at once, a Slack that is down, slow or full, a blind one."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.actions.log_reader import ActionState, read_action_log
from services.alerts import slack
from services.alerts.alert_log import AlertState, append_event, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.slack import alerts_to_notify, evidence_url, format_message, send_message
from services.alerts.watchdog import run, run_check
from services.batches.ledger import Ledger
from services.batches.state import BatchState
from services.core.clock import FixedClock
from services.core.settings import Settings, describe
from services.gcp import query_catalog
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_server import JobLatency
from services.sandbox.common.fault_injection import Fault
from services.sandbox.scenarios import rows
from services.sandbox.scenarios.build import PREDICTIONS_TABLE, build_seed
from services.sandbox.scenarios.slate import build_slates
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load_tables
from services.sandbox.server import start_sandbox
from tests.factories import NIGHT
from tests.watch.facts_for_tests import make_batch_record

FIFTH_REJECTION = datetime(2025, 12, 29, 19, 47, 53, tzinfo=UTC)
SELF_HEALING = SelfHealingConfig()
RUN_TABLE = "nba_predictions.prediction_worker_runs"


class IncidentReplay:
    """29 December as it was at 14:46 ET: wide workers, nothing run; its jobs and lines come as the clock moves."""

    def __init__(self) -> None:
        seed = build_seed()
        self.later_rows = {name: _rows_of_incident(seed.tables[name]) for name in (PREDICTIONS_TABLE, RUN_TABLE)}
        tables = {n: r for n, r in seed.tables.items() if "_staging_" not in n and n not in self.later_rows}
        first = Seed(
            tables,
            {},
            seed.log_entries,
            seed.jobs,
            _with_normal_capacity(seed.services),
            _with_normal_capacity(seed.revisions),
        )
        self.clock = FixedClock(datetime(2025, 12, 29, 19, 46, tzinfo=UTC))
        self.sandbox = start_sandbox(first, latency=JobLatency(scale=0.01), clock=self.clock)
        self.sandbox.state.cloud_run._rollout_s = 0.0
        settings = Settings.from_env({"SANDBOX_URL": self.sandbox.url, **_slack_env(self.sandbox)})
        self.cloud = replace(connect(settings), clock=self.clock)
        self.memory = CheckCache()

    def run_check(self):
        check_result = run_check(self.cloud, self.memory, SELF_HEALING)
        for handle in check_result.started_actions:
            handle.future.exception()
        return check_result

    def load_rows(self, **tables) -> None:
        load_tables(self.sandbox.emulator.url, self.cloud.settings.project, Seed(tables))

    @property
    def messages(self):
        return self.sandbox.state.slack_messages


def _slack_env(sandbox):
    return {"SLACK_WEBHOOK_URL": f"{sandbox.url}/slack/webhook"}


def _rows_of_incident(table_rows):
    return [row for row in table_rows if str(row["game_date"]) == "2025-12-29"]


def _with_normal_capacity(resources):
    return [
        {
            **r,
            "scaling": {"maxInstanceCount": 20},
            **(
                {"template": {**r["template"], "scaling": {"maxInstanceCount": 20}, "maxInstanceRequestConcurrency": 5}}
                if "template" in r
                else {"maxInstanceRequestConcurrency": 5}
            ),
        }
        if "prediction-worker" in r["name"]
        else r
        for r in resources
    ]


@pytest.fixture
def incident_replay():
    night = IncidentReplay()
    yield night
    night.sandbox.stop()


def test_29_december_is_one_incident_one_message_one_remediation_and_closes_after_the_repair(incident_replay):
    incidents = []
    while not incidents:
        last_ok_at = incident_replay.clock.now()
        incident_replay.clock.advance(60)
        incidents = [i for i in incident_replay.run_check().incidents if i.cause == "writes"]
    assert last_ok_at < FIFTH_REJECTION <= incident_replay.clock.now(), (
        "one look after the fifth rejection, not seven hours later"
    )
    assert [i.rule.name for i in incidents] == ["dml_rejections"]
    assert len(incident_replay.messages) == 1
    assert "Narrow the workers to 4 × 3" in incident_replay.messages[0]["text"]
    assert "The watchdog has begun: Narrow prediction-worker" in incident_replay.messages[0]["text"]
    assert "/dml_errors?date=2025-12-29" in incident_replay.messages[0]["text"]
    incident_replay.load_rows(**incident_replay.later_rows)
    for _ in range(5):
        incident_replay.clock.advance(60)
        check_result = incident_replay.run_check()
    assert [i.cause for i in check_result.incidents] == ["writes"]
    assert "coverage" in {f.rule.name for f in check_result.incidents[0].results}
    [alert] = read_alerts(incident_replay.cloud).alerts
    assert "90 writes rejected of 158" in alert.message, "the page tells what is known now"
    assert "coverage" in {f["rule"] for f in alert.rule_results}
    assert len(incident_replay.messages) == 1
    log = read_action_log(
        incident_replay.cloud,
        incident_replay.clock.now() - timedelta(hours=1),
        incident_replay.clock.now() + timedelta(hours=1),
    )
    assert [(a.verb, a.actor, a.state) for a in log.actions] == [("scaling.narrow", "watchdog", ActionState.DONE)]
    _simulate_repair(incident_replay)
    incident_replay.run_check()
    [alert] = read_alerts(incident_replay.cloud).alerts
    assert alert.state(incident_replay.clock.now()) is AlertState.RESOLVED
    assert "Resolved" in incident_replay.messages[-1]["text"]
    assert len(incident_replay.messages) == 2
    incident_replay.clock.advance(60 * 60)
    incident_replay.run_check()
    log = read_action_log(
        incident_replay.cloud,
        incident_replay.clock.now() - timedelta(hours=3),
        incident_replay.clock.now() + timedelta(hours=1),
    )
    assert [(a.verb, a.actor, a.state) for a in log.actions if a.verb.startswith("scaling")] == [
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
    Ledger(replay.cloud).append_state(batch_record)
    replay.clock.advance(60)
    assert batch_record.state is BatchState.CONSOLIDATED


@pytest.fixture
def short_timeout_slack_clients(fresh_sandbox, monkeypatch):
    monkeypatch.setattr(slack, "REQUEST_TIMEOUT_S", 1)
    return connect(Settings.from_env({"SANDBOX_URL": fresh_sandbox.url, **_slack_env(fresh_sandbox)}))


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


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("slack", "status", status=429), "429"),
        (Fault("slack", "drop"), "not reached"),
        (Fault("slack", "status", status=503), "503"),
        (Fault("slack", "delay", seconds=3), "not reached"),
    ],
)
def test_a_failed_slack_delivery_is_shown_and_retried(
    short_timeout_slack_clients, fresh_sandbox, monkeypatch, fault, words
):
    monkeypatch.setattr(slack, "MAX_ATTEMPTS", 2)
    fresh_sandbox.state.faults.set(fault)
    first = run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    assert not first.delivery.ok
    assert words in first.delivery.detail
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
    assert third.delivery.ok
    assert "channel" not in {a.cause for a in read_alerts(later_clients).open} or "channel" in {
        i.cause for i in third.incidents
    }


def test_many_alerts_are_one_message_with_a_count(short_timeout_slack_clients):
    run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    template = read_alerts(short_timeout_slack_clients).alerts[0]
    alerts = [replace(template, alert_id=f"a{i}") for i in range(40)]
    text = format_message(alerts, short_timeout_slack_clients.settings)
    assert text.startswith("*40 alerts*")
    assert text.endswith("… and 30 more")
    assert evidence_url(short_timeout_slack_clients.settings, template).startswith("http://127.0.0.1:8501/")


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


def test_alerts_events_omits_long_resolved_alerts_and_keeps_open_ones(short_timeout_slack_clients):
    run_check(short_timeout_slack_clients, CheckCache(), SELF_HEALING)
    future = short_timeout_slack_clients.now() + timedelta(days=40)
    future_clients = replace(short_timeout_slack_clients, clock=FixedClock(future))
    assert {alert.alert_id for alert in read_alerts(future_clients).alerts} == {
        "writes-2025-12-29",
        "staging-2025-12-30",
    }
    assert len(query_catalog.run_query(short_timeout_slack_clients, "alerts.events").rows) >= 2


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
    assert "Watchdog is blind" in caplog.text


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


def test_the_webhook_is_never_shown(settings):
    secret = "https://hooks.slack.example/services/T0/B0/abc"
    with_channel = Settings.from_env({"SLACK_WEBHOOK_URL": secret})
    assert secret not in describe(with_channel) + repr(with_channel)
    assert "not set" in describe(settings)
    assert send_message(settings, "x").detail == "No channel is set: SLACK_WEBHOOK_URL is empty"


def test_each_remediation_can_be_disabled(incident_replay):
    disabled = SelfHealingConfig.from_env({"SELF_HEALING_AUTO_REDUCE_CONCURRENCY": "false"})
    incident_replay.clock.advance(180)
    check_result = run_check(incident_replay.cloud, CheckCache(), disabled)
    assert "dml_rejections" in {i.rule.name for i in check_result.incidents}
    assert check_result.started_actions == ()
