"""The watchdog over HTTP: 29 December as it went, two watchdogs at once, a Slack that is down, slow or full, a blind one."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.actions.log_reader import State, read_log
from services.alerts import slack as delivery
from services.alerts.alert_log import AlertState, append, read_alerts
from services.alerts.facts import Memory
from services.alerts.slack import due, link, send, text_of
from services.alerts.watchdog import look, watch
from services.batches.ledger import Ledger
from services.batches.state import BatchState
from services.core.clock import FixedClock
from services.core.settings import Settings, describe
from services.gcp import query_catalog as catalog
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.common.fault_injection import Fault
from services.sandbox.scenarios import rows
from services.sandbox.scenarios.build import PREDICTIONS, build
from services.sandbox.scenarios.slate import slates
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load
from services.sandbox.server import start_sandbox
from tests.factories import NIGHT
from tests.watch.facts_for_tests import entry

FIFTH_REJECTION = datetime(2025, 12, 29, 19, 47, 53, tzinfo=UTC)
HEALING = SelfHealingConfig()
RUN_ROWS = "nba_predictions.prediction_worker_runs"


class _Night:
    """29 December as it was at 14:46 ET: wide workers, nothing run; its jobs and lines come as the clock moves."""

    def __init__(self) -> None:
        seed = build()
        self.later = {name: _of_night(seed.tables[name]) for name in (PREDICTIONS, RUN_ROWS)}
        tables = {n: r for n, r in seed.tables.items() if "_staging_" not in n and n not in self.later}
        first = Seed(tables, {}, seed.log_entries, seed.jobs, _wide(seed.services), _wide(seed.revisions))
        self.clock = FixedClock(datetime(2025, 12, 29, 19, 46, tzinfo=UTC))
        self.sandbox = start_sandbox(first, speed=Speed(scale=0.01), clock=self.clock)
        self.sandbox.world.run._rollout_s = 0.0
        settings = Settings.from_env({"SANDBOX_URL": self.sandbox.address, **_slack(self.sandbox)})
        self.cloud = replace(connect(settings), clock=self.clock)
        self.memory = Memory()

    def look(self):
        done = look(self.cloud, self.memory, HEALING)
        for ticket in done.begun:
            ticket.end.exception()
        return done

    def plant(self, **tables) -> None:
        load(self.sandbox.emulator.address, self.cloud.settings.project, Seed(tables))

    @property
    def messages(self):
        return self.sandbox.world.messages


def _slack(sandbox):
    return {"SLACK_WEBHOOK_URL": f"{sandbox.address}/slack/webhook"}


def _of_night(told):
    return [row for row in told if str(row["game_date"]) == "2025-12-29"]


def _wide(resources):
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
def played():
    night = _Night()
    yield night
    night.sandbox.stop()


def test_29_december_is_one_incident_at_once_one_message_one_narrowing_and_closes_after_the_repair(played):
    seen = []
    while not seen:
        quiet_until = played.clock.now()
        played.clock.advance(60)
        seen = [i for i in played.look().incidents if i.cause == "writes"]
    assert quiet_until < FIFTH_REJECTION <= played.clock.now(), (
        "one look after the fifth rejection, not seven hours later"
    )
    assert [i.rule.name for i in seen] == ["dml_rejections"]
    assert len(played.messages) == 1
    assert "Narrow the workers to 4 × 3" in played.messages[0]["text"]
    assert "The watchdog has begun: Narrow prediction-worker" in played.messages[0]["text"]
    assert "/dml_errors?date=2025-12-29" in played.messages[0]["text"]
    played.plant(**played.later)
    for _ in range(5):
        played.clock.advance(60)
        done = played.look()
    assert [i.cause for i in done.incidents] == ["writes"]
    assert "coverage" in {f.rule.name for f in done.incidents[0].findings}
    [alert] = read_alerts(played.cloud).alerts
    assert "90 writes rejected of 158" in alert.sentence, "the page tells what is known now"
    assert "coverage" in {f["rule"] for f in alert.findings}
    assert len(played.messages) == 1
    log = read_log(played.cloud, played.clock.now() - timedelta(hours=1), played.clock.now() + timedelta(hours=1))
    assert [(a.verb, a.actor, a.state) for a in log.actions] == [("scaling.narrow", "watchdog", State.DONE)]
    _repair(played)
    played.look()
    [alert] = read_alerts(played.cloud).alerts
    assert alert.state(played.clock.now()) is AlertState.RESOLVED
    assert "Resolved" in played.messages[-1]["text"]
    assert len(played.messages) == 2
    played.clock.advance(60 * 60)
    played.look()
    log = read_log(played.cloud, played.clock.now() - timedelta(hours=3), played.clock.now() + timedelta(hours=1))
    assert [(a.verb, a.actor, a.state) for a in log.actions if a.verb.startswith("scaling")] == [
        ("scaling.restore", "watchdog", State.DONE),
        ("scaling.narrow", "watchdog", State.DONE),
    ], "restored when calm"


def _repair(played) -> None:
    """What a re-run through staging leaves: rows for everybody, and a batch with its sums in the ledger."""
    slate = next(s for s in slates() if s.game_date == NIGHT)
    there = {row["player_lookup"] for row in played.later[PREDICTIONS]}
    gone = [e for e in slate.eligible if e.player.lookup not in there]
    played.clock.advance(60)
    made = [row for e in gone for row in rows.prediction_rows(slate, e, played.clock.now())]
    played.plant(**{PREDICTIONS: made})
    sums = {"produced_rows": len(made), "staged_rows": len(made), "distinct_keys": len(made), "inserted": len(made)}
    told = entry(batch_id="batch_2025-12-29_1767038820000", requested=len(gone), generated=len(gone), **sums)
    Ledger(played.cloud).state(told)
    played.clock.advance(60)
    assert told.state is BatchState.CONSOLIDATED


@pytest.fixture
def slack_cloud(fresh_sandbox, monkeypatch):
    monkeypatch.setattr(delivery, "TIMEOUT_S", 1)
    return connect(Settings.from_env({"SANDBOX_URL": fresh_sandbox.address, **_slack(fresh_sandbox)}))


def test_two_watchdogs_at_once_raise_and_tell_each_alert_once(slack_cloud, fresh_sandbox):
    ready = threading.Barrier(2)

    def one():
        ready.wait()
        look(slack_cloud, Memory(), HEALING)

    both = [threading.Thread(target=one) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    look(slack_cloud, Memory(), HEALING)
    alerts = read_alerts(slack_cloud).alerts
    assert {a.cause for a in alerts} == {"writes", "staging"}
    for alert in alerts:
        assert [e.event for e in alert.events] == ["opened", "telling", "told"]
        told = [m for m in fresh_sandbox.world.messages if alert.sentence[:30] in m["text"]]
        assert len(told) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("slack", "status", status=429), "429"),
        (Fault("slack", "drop"), "not reached"),
        (Fault("slack", "status", status=503), "503"),
        (Fault("slack", "delay", seconds=3), "not reached"),
    ],
)
def test_a_slack_that_does_not_take_it_is_shown_and_told_again_later(
    slack_cloud, fresh_sandbox, monkeypatch, fault, words
):
    monkeypatch.setattr(delivery, "TRIES", 2)
    fresh_sandbox.world.faults.set(fault)
    done = look(slack_cloud, Memory(), HEALING)
    assert not done.delivery.ok
    assert words in done.delivery.sentence
    assert slack_cloud.settings.slack_webhook_url not in done.delivery.sentence
    assert fresh_sandbox.world.meter.calls["slack.webhook"] >= 2, "it was tried again"
    fresh_sandbox.world.faults.clear()
    second = look(slack_cloud, Memory(), HEALING)
    assert "channel" in {i.cause for i in second.incidents}
    assert second.delivery is None, "a failed channel is left alone for a minute"
    again = replace(slack_cloud, clock=FixedClock(slack_cloud.now() + timedelta(minutes=2)))
    third = look(again, Memory(), HEALING)
    assert third.delivery.ok
    assert "channel" not in {a.cause for a in read_alerts(again).open} or "channel" in {
        i.cause for i in third.incidents
    }


def test_a_storm_is_one_message_that_counts(slack_cloud):
    look(slack_cloud, Memory(), HEALING)
    one = read_alerts(slack_cloud).alerts[0]
    many = [replace(one, alert_id=f"a{i}") for i in range(40)]
    text = text_of(many, slack_cloud.settings)
    assert text.startswith("*40 alerts*")
    assert text.endswith("… and 30 more")
    assert link(slack_cloud.settings, one).startswith("http://127.0.0.1:8501/")


def test_what_is_silenced_tells_nobody_until_the_silence_ends_and_a_taken_one_is_not_repeated(slack_cloud):
    look(slack_cloud, Memory(), HEALING)
    [alert] = [a for a in read_alerts(slack_cloud).alerts if a.cause == "writes"]
    later = slack_cloud.now() + timedelta(hours=2)
    assert due([alert], later) == (alert,), "a critical one that nobody took is told again"
    taken = alert.next("acknowledged", slack_cloud.now(), "nora")
    assert append(slack_cloud, taken)
    assert not append(slack_cloud, replace(taken, actor="olaf")), "alerts.append claims a number once"
    [alert] = [a for a in read_alerts(slack_cloud).alerts if a.cause == "writes"]
    assert (alert.state(later), due([alert], later)) == (AlertState.ACKNOWLEDGED, ())
    quiet = alert.next("silenced", slack_cloud.now(), "nora", silent_until=slack_cloud.now() + timedelta(hours=1))
    append(slack_cloud, quiet)
    [alert] = [a for a in read_alerts(slack_cloud).alerts if a.cause == "writes"]
    assert alert.state(slack_cloud.now()) is AlertState.SILENCED
    assert alert.state(later) is AlertState.OPEN


def test_alerts_events_leaves_out_what_ended_long_ago_and_keeps_what_is_open(slack_cloud):
    look(slack_cloud, Memory(), HEALING)
    future = slack_cloud.now() + timedelta(days=40)
    later = replace(slack_cloud, clock=FixedClock(future))
    assert {alert.alert_id for alert in read_alerts(later).alerts} == {"writes-2025-12-29", "staging-2025-12-30"}
    assert len(catalog.run(slack_cloud, "alerts.events").rows) >= 2


def test_a_log_that_cannot_be_read_is_an_unknown_alert(slack_cloud, fresh_sandbox):
    fresh_sandbox.world.faults.set(Fault("logging", "status", status=403))
    done = look(slack_cloud, Memory(), HEALING)
    assert "sight" in {i.cause for i in done.incidents}


def test_a_log_that_answers_with_nothing_is_an_unknown_alert_and_not_calm(slack_cloud, fresh_sandbox):
    fresh_sandbox.world.faults.set(Fault("logging", "empty"))
    assert "sight-logs" in {i.cause for i in look(slack_cloud, Memory(), HEALING).incidents}


def test_a_watchdog_that_cannot_read_its_alerts_says_so_and_fails(slack_cloud, fresh_sandbox, caplog):
    fresh_sandbox.world.faults.set(Fault("bigquery", "status", status=403))
    assert watch(slack_cloud, None, {}) == 1
    assert "Watchdog is blind" in caplog.text


def test_a_second_look_bills_one_small_question_and_a_third_none(slack_cloud, fresh_sandbox):
    memory, meter = Memory(), fresh_sandbox.world.meter
    look(slack_cloud, memory, HEALING)
    meter.reset()
    look(slack_cloud, memory, HEALING)  # what the first look recorded
    told = meter.as_json()
    assert told["bytesBilled"] <= 10 * 1024 * 1024
    assert told["calls"]["logging.entries.list"] <= 2
    meter.reset()
    look(slack_cloud, memory, HEALING)
    told = meter.as_json()
    assert told["bytesBilled"] == 0
    assert "bigquery.JobService.insertJob" not in told["calls"]
    assert told["calls"]["logging.entries.list"] <= 2


def test_the_webhook_is_never_shown(settings):
    secret = "https://hooks.slack.example/services/T0/B0/abc"
    with_channel = Settings.from_env({"SLACK_WEBHOOK_URL": secret})
    assert secret not in describe(with_channel) + repr(with_channel)
    assert "not set" in describe(settings)
    assert send(settings, "x").sentence == "No channel is set: SLACK_WEBHOOK_URL is empty"


def test_each_healing_step_can_be_switched_off(played):
    off = SelfHealingConfig.from_env({"SELF_HEALING_AUTO_REDUCE_CONCURRENCY": "false"})
    played.clock.advance(180)
    done = look(played.cloud, Memory(), off)
    assert "dml_rejections" in {i.rule.name for i in done.incidents}
    assert done.begun == ()
