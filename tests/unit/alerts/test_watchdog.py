"""What a check does when something fails: nothing is lost, and its own faults are logged with the traceback."""

from __future__ import annotations

import logging
import random
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from services.actions.background import BackgroundRunner
from services.alerts import deliveries, facts, present, remediation, watchdog
from services.alerts.alert_log import Alert, Alerts, Event, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.findings import RuleResult
from services.alerts.present import nights_to_check
from services.alerts.remediation import Remediation
from services.alerts.rules import RULES_BY_NAME
from services.alerts.transport import Delivery
from services.alerts.watchdog import run_check
from services.core.errors import OnCallError
from services.core.result import DataSource, Health
from services.core.settings import Settings
from services.gcp import logging_setup
from services.gcp.retry import RetryPolicy
from services.policy.concurrency_config import SelfHealingConfig
from tests.faults import watchdogs
from tests.faults.seeds import Kind
from tests.faults.world import open_world
from tests.support.alert_factories import (
    NIGHT,
    NOW,
    failed_result,
    make_snapshot,
    ok_result,
)
from tests.support.memory_clients import memory_clients


def raise_fault(*_args: object, **_options: object) -> None:
    raise OnCallError("The table is away.")


@pytest.fixture
def clients(records, monkeypatch):
    monkeypatch.setattr(CheckCache, "cached_clients", lambda _, clients: clients)
    return records.clients()


def test_a_fault_in_one_check_is_logged_with_its_traceback(clients, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "run_check", raise_fault)
    assert watchdog.run(clients, None, {}) == 1
    assert "Watchdog can't read its sources: OnCallError: The table is away." in caplog.messages[0]
    assert "in raise_fault" in caplog.text


def test_a_remediation_that_fails_is_logged_with_its_traceback(clients, caplog, monkeypatch):
    monkeypatch.setattr(watchdog, "plan_remediations", raise_fault)
    monkeypatch.setattr(watchdog, "read_recent_actions", lambda _: ())
    nothing: Any = None  # planning fails before it reads these
    assert watchdog._remediate(clients, CheckCache(), nothing, (), nothing) == ()
    assert caplog.messages[0].startswith("Auto-remediation failed: The table is away.")
    assert "in raise_fault" in caplog.text


def test_a_remediation_that_cannot_be_planned_is_logged_with_its_traceback(clients, caplog):
    caplog.set_level("WARNING", logger="watchdog")
    action_type: Any = SimpleNamespace(name="resume_batch", plan=raise_fault)
    step = Remediation(action_type, "2025-12-29", {}, "stalled", ("run", None))
    assert remediation._start(clients, step, (), NOW) is None
    assert [(r.levelno, "resume_batch of 2025-12-29" in r.getMessage()) for r in caplog.records] == [
        (logging.WARNING, True)
    ]
    assert "in raise_fault" in caplog.text


class Channel:
    """A channel that keeps the causes of what it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []

    def send(self, alerts: Any) -> Delivery:
        self.sent.append(tuple(alert.cause for alert in alerts))
        return Delivery(True, "sent")


@pytest.fixture
def channel(monkeypatch):
    """Two alerts at once, the worse first: doubled keys, and a staging list that cannot be read."""
    channel = Channel()
    monkeypatch.setattr("services.alerts.notification.open_channel", lambda _: channel)
    staging = failed_result("The list of staging tables")
    snapshot = make_snapshot(duplicates=ok_result({NIGHT: 112}), staging=staging)
    monkeypatch.setattr(present, "read_snapshot", lambda *_: snapshot)
    monkeypatch.setattr(present, "fetch_open_dates", lambda *_: ok_result(frozenset()))
    monkeypatch.setattr(watchdog, "apply_reverts_if_calm", lambda *_: None)
    return channel


def check(clients):
    return run_check(clients, CheckCache(), SelfHealingConfig())


def test_an_alert_that_cannot_be_recorded_delays_no_other_and_is_recorded_by_the_next_check(
    clients, records, channel, caplog
):
    records.is_failing = lambda job_id: "alert-rows" in job_id
    first = check(clients)
    assert channel.sent[0] == ("sight",)
    assert [event.cause for event in first.unrecorded_events] == ["rows"]
    with pytest.raises(OnCallError, match="1 alert events could not be recorded"):
        watchdog.log_result(first)
    assert "Watchdog looked" not in caplog.text, "a check that lost something is no sign of life"
    records.is_failing = lambda _: False
    records.clock.advance(60)
    second = check(clients)
    assert (second.unrecorded_events, channel.sent[1:]) == ((), [("rows",)])
    records.clock.advance(60)
    check(clients)
    assert len(channel.sent) == 2, "no message twice"


def test_a_claim_that_cannot_be_recorded_holds_no_other_message_back(clients, records, channel):
    records.is_failing = lambda job_id: job_id.startswith("on-call-alert-rows") and job_id.endswith("-2")
    with pytest.raises(OnCallError, match="could not be written"):
        check(clients)
    assert channel.sent[0] == ("sight",)
    records.is_failing = lambda _: False
    check(clients)
    assert channel.sent[1:] == [("rows",)]


def test_a_message_whose_record_fails_at_one_alert_is_recorded_at_the_others(clients, records, channel, monkeypatch):
    monkeypatch.setattr(deliveries, "RECORD_RETRY", RetryPolicy(retries=0))
    records.is_failing = lambda job_id: job_id.startswith("on-call-alert-rows") and not job_id.endswith(("-1", "-2"))
    with pytest.raises(OnCallError, match="could not be written"):
        check(clients)
    told = {alert.cause for alert in read_alerts(clients).alerts if alert.latest_event.event == "told"}
    assert told == {"sight"}


def test_the_record_of_a_message_is_tried_again_because_a_message_without_one_is_sent_again(
    clients, records, channel, monkeypatch
):
    monkeypatch.setattr(deliveries, "RECORD_RETRY", RetryPolicy(retries=1, sleep=lambda _: None))
    failures = iter([True])
    records.is_failing = lambda job_id: job_id == "on-call-alert-rows-2025-12-29-3" and next(failures, False)
    assert check(clients).delivery is not None
    assert {alert.latest_event.event for alert in read_alerts(clients).alerts} == {"told"}


def test_a_message_that_cannot_be_recorded_keeps_no_alert_from_the_second_channel(clients, channel, monkeypatch):
    monkeypatch.setattr(watchdog, "notify", raise_fault)
    escalated: list[str] = []
    monkeypatch.setattr(watchdog, "escalate", lambda _, alerts: escalated.extend(a.cause for a in alerts))
    with pytest.raises(OnCallError, match="The table is away"):
        check(clients)
    assert sorted(escalated) == ["rows", "sight"]


def test_a_check_reads_tonight_and_every_date_with_an_open_batch(clients):
    no_alerts = Alerts((), DataSource("alerts", NOW))
    tomorrow, last_week = NIGHT + timedelta(days=1), NIGHT - timedelta(days=6)
    assert nights_to_check(no_alerts, {tomorrow, last_week}, NOW) == (tomorrow, NIGHT, last_week)
    assert nights_to_check(no_alerts, (), NOW) == (NIGHT,)


def test_a_check_evaluates_the_open_dates_and_finishes_earlier_actions(clients, channel, monkeypatch):
    tomorrow = NIGHT + timedelta(days=1)
    read_snapshot, finish = Mock(return_value=make_snapshot()), Mock()
    monkeypatch.setattr(present, "fetch_open_dates", lambda *_: ok_result(frozenset({tomorrow})))
    monkeypatch.setattr(present, "read_snapshot", read_snapshot)
    monkeypatch.setattr(watchdog, "finish_actions", finish)
    check(clients)
    assert read_snapshot.call_args.args[1] == (tomorrow, NIGHT)
    finish.assert_called_once_with(clients, ())


def test_open_batches_are_asked_for_from_a_week_ago_to_tomorrow_and_a_failed_read_is_a_problem(clients, monkeypatch):
    read_open_dates = Mock(return_value=frozenset({NIGHT}))
    monkeypatch.setattr(facts, "read_open_dates", read_open_dates)
    assert facts.fetch_open_dates(clients, CheckCache()).value == frozenset({NIGHT})
    read_open_dates.assert_called_once_with(clients, NIGHT - timedelta(days=7), NIGHT + timedelta(days=2))
    monkeypatch.setattr(facts, "read_open_dates", raise_fault)
    problem = facts.fetch_open_dates(clients, CheckCache()).problem
    assert problem is not None
    assert problem.source == "The ledger"


def test_open_dates_that_cannot_be_read_are_an_unknown_source():
    problems = make_snapshot(open_dates=failed_result("The ledger")).problems
    assert [problem.source for problem in problems] == ["The ledger"]


@pytest.mark.parametrize("fails", [False, True])
def test_one_check_waits_for_what_it_began_also_when_it_fails_itself(clients, monkeypatch, fails, caplog):
    runner, ended = BackgroundRunner(), threading.Event()
    monkeypatch.setattr(watchdog, "BACKGROUND", runner)
    monkeypatch.setattr(watchdog, "ACTION_TIMEOUT_S", 0.02)

    def begin_and_end(*_: object) -> Any:
        plan: Any = SimpleNamespace(key="k", action_name="run.resume", target="t", title="Resume it", planned_at=NOW)
        task: Any = ended.wait
        runner.submit(plan, "operator", NOW, task)
        if fails:
            raise OnCallError("The channel's record failed.")

    monkeypatch.setattr(watchdog, "run_check", begin_and_end)
    monkeypatch.setattr(watchdog, "log_result", lambda _: None)
    assert watchdog.run(clients, None, {}) == int(fails)
    assert "Resume it is still running" in caplog.text
    ended.set()


# --- what a check records and says ------------------------------------------------------------------------------------------


def make_alert(*events: str, night: Any = NIGHT, alert_id: str = "run-x", **changes: Any) -> Alert:
    """An alert with these events, a minute apart; `changes` are of each."""
    opened = Event(alert_id, 1, "opened", NOW, "watchdog", "run", night, Health.CRITICAL, "stalled", "Trouble")
    alert = Alert(alert_id, (opened,))
    for minute, event in enumerate(events, 1):
        added = alert.new_event(event, NOW + timedelta(minutes=minute), "watchdog", **changes)
        alert = Alert(alert_id, (*alert.events, added))
    return alert


def all_alerts(*alerts: Alert) -> Alerts:
    return Alerts(alerts, DataSource("alerts", NOW))


def test_a_check_reads_earlier_nights_with_an_open_alert_for_a_week():
    week, older = NIGHT - timedelta(days=7), NIGHT - timedelta(days=8)
    alerts = all_alerts(
        *(make_alert(night=night, alert_id=str(night)) for night in (week, older, None)),
        make_alert("resolved", night=NIGHT - timedelta(days=2), alert_id="ended"),
    )
    assert nights_to_check(alerts, (), NOW) == (NIGHT, week)


WEBHOOK = Settings.from_env({"SLACK_WEBHOOK_URL": "https://hooks.slack.example/x"})


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ((), ""),
        (("told",), ""),
        (("told", "not told"), "Slack said no."),
        (("not told", "told"), ""),
        (("not told", "worsened"), "Slack said no."),
    ],
)
def test_the_channels_status_is_how_the_last_message_went(events, problem):
    status = present.channel_status(WEBHOOK, all_alerts(make_alert(*events, facts={"delivery": "Slack said no."})))
    assert (status.is_set, status.problem) == (True, problem)
    assert present.channel_status(Settings.from_env({}), all_alerts()).is_set is False


def test_the_status_of_the_second_channel_is_its_own():
    escalating = Settings.from_env({"ESCALATE_AFTER_MIN": "15"})
    paging = Settings.from_env({"ESCALATE_AFTER_MIN": "15", "ESCALATION_URL": "https://pager.example/v1"})
    failed = all_alerts(make_alert("told", "not escalated", facts={"delivery": "PagerDuty answered HTTP 400."}))
    assert present.channel_status(WEBHOOK, failed).second_problem == "PagerDuty answered HTTP 400."
    assert present.channel_status(WEBHOOK, failed).problem == ""
    assert present.channel_status(paging, all_alerts(make_alert("not escalated", "escalated"))).second_problem == ""
    assert present.channel_status(escalating, all_alerts()).second_problem.startswith("No second channel is set")
    assert present.channel_status(WEBHOOK, all_alerts()).second_problem == "", "nothing is escalated"


def test_a_failed_message_without_details_is_named_by_its_alert_and_the_newest_of_all_alerts_counts():
    failed, told = make_alert("not told", alert_id="a"), make_alert("updated", "told", alert_id="b")
    assert present.channel_status(WEBHOOK, all_alerts(failed)).problem == "Trouble"
    assert present.channel_status(WEBHOOK, all_alerts(told, failed)).problem == ""


def make_result(**changes: Any) -> watchdog.CycleResult:
    rule = RULES_BY_NAME["stalled"]
    results = [RuleResult(rule, health, "", "run") for health in (Health.OK, Health.OK, Health.UNKNOWN, Health.WARNING)]
    fields: dict[str, Any] = {
        "thresholds": "1a2b3c4d",
        "rule_results": tuple(results),
        "incidents": (Mock(), Mock(), Mock()),
        "recorded_events": make_alert("worsened", "updated").events,
        "delivery": None,
    }
    return watchdog.CycleResult(NOW, **{**fields, **changes})


def test_a_check_logs_its_changes_and_that_it_looked(caplog):
    caplog.set_level("INFO", logger="watchdog")
    watchdog.log_result(make_result(delivery=Delivery(True, "delivered to Slack")))
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "ALERT opened critical run-x: Trouble"),
        ("WARNING", "ALERT worsened critical run-x: Trouble"),
        (
            "INFO",
            "Watchdog looked: 3 incidents, 2 rules not firing, 1 unknown, 3 changes, delivered to Slack, thresholds 1a2b3c4d",
        ),
    ]
    assert watchdog.summary_line(make_result()).endswith("unknown, 3 changes, thresholds 1a2b3c4d")
    paged = make_result(pages=(Delivery(True, "PagerDuty accepted the page"),))
    assert watchdog.summary_line(paged).endswith("3 changes, PagerDuty accepted the page, thresholds 1a2b3c4d")


def test_an_event_that_another_watchdog_recorded_is_neither_recorded_nor_lost(clients):
    event = make_alert().latest_event
    assert watchdog._record_events(clients, [event]) == ((event,), ())
    assert watchdog._record_events(clients, [event]) == ((), ())


def test_an_event_that_cannot_be_recorded_is_logged_with_its_cause(clients, records, caplog):
    records.is_failing = lambda _: True
    event = make_alert().latest_event
    assert watchdog._record_events(clients, [event]) == ((), (event,))
    assert "opened of run-x could not be recorded: The record could not be written" in caplog.messages[0]
    assert "Traceback" in caplog.text


def test_a_message_about_rejected_writes_can_be_switched_off(clients):
    alerts = (make_alert(), make_alert("worsened", alert_id="w", rule="dml_rejections"))
    assert watchdog._notifiable(alerts, SelfHealingConfig()) == alerts
    off = SelfHealingConfig.from_env({"SELF_HEALING_ALERT_ON_DML_LIMIT": "false"})
    assert watchdog._notifiable(alerts, off) == alerts[:1]


def test_a_check_finishes_starts_and_reverts_and_returns_what_it_recorded_and_began(clients, channel, monkeypatch):
    calls: dict[str, Any] = {}

    def record(name: str, answer: Any) -> Any:
        def call(*args: Any) -> Any:
            calls[name] = args
            return answer

        monkeypatch.setattr(watchdog, name, call)
        return answer

    actions = record("read_recent_actions", ("an action",))
    planned = record("plan_remediations", ("a step",))
    handle: Any = object()
    step = Remediation(SimpleNamespace(name="x"), "t", {}, "r", ("rows", NIGHT))  # type: ignore[arg-type]
    begun = remediation.StartedRemediation(step, "Resume it", NOW, handle)
    earlier = remediation.StartedRemediation(step, "Resume another", NOW)
    record("start_remediations", (begun, earlier))
    record("finish_actions", None)
    record("apply_reverts_if_calm", None)
    self_healing = SelfHealingConfig()
    result = run_check(clients, CheckCache(), self_healing)
    assert calls["read_recent_actions"] == (clients,)
    assert calls["finish_actions"] == (clients, actions)
    assert calls["plan_remediations"][0] == result.rule_results
    assert calls["plan_remediations"][2:] == (self_healing, NOW)
    assert calls["plan_remediations"][1].nights[0].game_date == NIGHT
    assert calls["start_remediations"] == (clients, planned, actions)
    assert calls["apply_reverts_if_calm"] == (clients, result.rule_results)
    assert (result.checked_at, result.started_actions) == (NOW, (handle,))
    assert [incident.cause for incident in result.incidents] == ["rows", "sight"]
    assert [(event.event, event.cause) for event in result.recorded_events] == [("opened", "rows"), ("opened", "sight")]
    assert result.delivery == Delivery(True, "sent")
    rows = next(alert for alert in read_alerts(clients).alerts if alert.cause == "rows")
    assert [event.reason for event in rows.events if event.event == "mending"] == ["Resume it", "Resume another"]


def test_a_check_that_repeats_waits_for_the_rest_of_its_interval(clients, monkeypatch):
    monkeypatch.setattr(watchdog, "run_check", Mock())
    monkeypatch.setattr(watchdog, "log_result", Mock())
    times = iter([100.0, 107.0, 200.0, 261.0])
    waits: list[float] = []
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: next(times), sleep=waits.append))
    with pytest.raises(StopIteration):
        watchdog.run(clients, 60, {})
    assert waits == [53.0, 0.0]


def test_a_failed_check_is_followed_by_the_next(clients, monkeypatch, caplog):
    outcomes = iter([OnCallError("Away."), ZeroDivisionError("ours")])

    def fail(*_: object) -> Any:
        raise next(outcomes, KeyboardInterrupt())

    monkeypatch.setattr(watchdog, "run_check", fail)
    monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=lambda _: None))
    with pytest.raises(KeyboardInterrupt):
        watchdog.run(clients, 60, {})
    assert [message.rpartition("sources: ")[2] for message in caplog.messages] == [
        "OnCallError: Away.",
        "ZeroDivisionError: ours",
    ]


@pytest.mark.parametrize(("argv", "every"), [([], None), (["--every", "60"], 60.0)])
def test_the_command_checks_once_or_every_so_many_seconds(monkeypatch, argv, every):
    run = Mock(return_value=7)
    monkeypatch.setattr(watchdog, "run", run)
    monkeypatch.setattr(watchdog, "connect", lambda settings: ("connected", settings.region))
    configured = Mock()
    monkeypatch.setattr(logging_setup, "configure_logging", lambda: None)
    monkeypatch.setattr(logging_setup, "copy_to_sandbox", configured)
    assert watchdog.main(argv) == 7
    connected = ("connected", Settings.from_env().region)
    run.assert_called_once_with(connected, every)
    assert configured.call_args.args[:2] == (connected, "prediction-watchdog")
    assert configured.call_args.args[2]


@pytest.mark.parametrize(("error", "code", "text"), [(OnCallError("No."), 1, "No."), (KeyboardInterrupt(), 0, "")])
def test_the_command_ends_in_a_sentence_or_quietly_when_it_is_stopped(monkeypatch, caplog, error, code, text):
    monkeypatch.setattr(logging_setup, "configure_logging", lambda: None)
    monkeypatch.setattr(watchdog, "connect", Mock(side_effect=error))
    assert watchdog.main([]) == code
    assert "".join(caplog.messages) == text


def test_a_night_whose_coordinator_died_is_resumed_and_its_alerts_resolved():
    """The whole check on the in-memory BigQuery: each source is read, the resume accepted, and later found to be done."""
    with open_world({Kind.ACTIVE}) as world:
        assert watchdogs.drive(world, random.Random(0)) <= 3
        assert (world.verdict().is_clean, world.false_records(), world.unfinished_actions()) == (True, 0, 0)
        alerts = read_alerts(memory_clients(world.project))
    run_alert = next(alert for alert in alerts.alerts if alert.cause == "run")
    assert (run_alert.game_date, run_alert.ended) == (NIGHT, True)
    assert "channel" in {alert.cause for alert in alerts.open}, "no channel is set"


def test_what_it_may_start_is_read_from_its_environment(clients, monkeypatch):
    seen: list[SelfHealingConfig] = []
    monkeypatch.setattr(watchdog, "run_check", lambda _clients, _cache, self_healing: seen.append(self_healing))
    monkeypatch.setattr(watchdog, "log_result", lambda _: None)
    for switch in ("true", "false"):
        assert watchdog.run(clients, None, {"SELF_HEALING_RESUME_STALLED": switch}) == 0
    assert [self_healing.resume_stalled for self_healing in seen] == [True, False]
