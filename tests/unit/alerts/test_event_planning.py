"""The events of a check: what opened, reopened, worsened, changed and ended; what is unknown or not checked ends nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.alerts.alert_log import WATCHDOG, Alert, Alerts, Event, EventType
from services.alerts.event_plan import plan_alert_events
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident, causes_without_data, group_by_cause
from services.alerts.rules import RULES_BY_NAME
from services.core.commands import curl_command
from services.core.result import DataSource, Health
from tests.support.alert_factories import BATCH, NIGHT, NOW, SETTINGS

STALLED = RuleResult(RULES_BY_NAME["stalled"], Health.CRITICAL, "It has stalled.", "run", NIGHT, BATCH)
ORPHANS = RuleResult(RULES_BY_NAME["staging_orphans"], Health.WARNING, "2 tables.", "staging")
RESUME = curl_command(SETTINGS, "/resume", {"batch_id": BATCH})
FINDING = {
    "rule": "stalled",
    "health": "critical",
    "sentence": "It has stalled.",
    "command": RESUME,
    "hint": STALLED.rule.hint,
}
ORPHANS_FINDING = {
    "rule": "staging_orphans",
    "health": "warning",
    "sentence": "2 tables.",
    "command": "",
    "hint": ORPHANS.rule.hint,
}
NIGHTS = frozenset({NIGHT})


def incident_of(result: RuleResult = STALLED) -> Incident:
    return Incident(result.cause, result.game_date, (result,))


def alert_of(result: RuleResult = STALLED, at: datetime = NOW, **changes: Any) -> Alert:
    fields: dict[str, Any] = {
        "severity": result.health,
        "message": f"{result.rule.title}: {result.message}",
        "facts": {"findings": [FINDING if result is STALLED else ORPHANS_FINDING]},
        **changes,
    }
    event = Event(
        f"{result.cause}-x", 1, "opened", at, WATCHDOG, result.cause, result.game_date, rule=result.rule.name, **fields
    )
    return Alert(event.alert_id, (event,))


def after(alert: Alert, event: str, actor: str = WATCHDOG, at: datetime = NOW, **changes: Any) -> Alert:
    return Alert(alert.alert_id, (*alert.events, alert.new_event(event, at, actor, **changes)))


def plan(*alerts: Alert, incidents: Any = (), unknown: Any = (), nights: Any = NIGHTS, now: datetime = NOW) -> Any:
    log = Alerts(alerts, DataSource("alerts", NOW))
    return plan_alert_events(log, iter(incidents), frozenset(unknown), nights, SETTINGS, now)


def test_an_incident_without_an_alert_opens_one_with_what_shows_it():
    (event,) = plan(incidents=[incident_of()])
    assert (event.alert_id, event.sequence, event.event) == (f"run-{NIGHT}", 1, EventType.OPENED)
    assert (event.recorded_at, event.actor, event.cause, event.game_date) == (NOW, WATCHDOG, "run", NIGHT)
    assert (event.severity, event.rule, event.message) == (
        Health.CRITICAL,
        "stalled",
        "Batch stalled: It has stalled.",
    )
    assert event.facts == {"findings": [FINDING]}


def test_an_incident_is_as_old_as_the_earliest_of_its_causes():
    times = [None, NOW - timedelta(hours=1), NOW - timedelta(hours=2)]
    results = tuple(replace(STALLED, since=since) for since in times)
    (event,) = plan(incidents=[Incident("run", NIGHT, results)])
    assert event.facts["since"] == (NOW - timedelta(hours=2)).isoformat()
    assert plan(Alert("run-x", (event,)), incidents=[Incident("run", NIGHT, results)], now=NOW) == ()


def test_an_incident_of_the_platform_is_named_by_its_day_in_new_york():
    (event,) = plan(incidents=[incident_of(ORPHANS)], now=NOW.replace(day=30, hour=4, minute=59))
    assert (event.alert_id, event.game_date) == ("staging-2025-12-29", None)


def test_an_alert_that_has_not_changed_adds_nothing():
    assert plan(alert_of(), incidents=[incident_of()]) == ()


@pytest.mark.parametrize(
    "old", [{"message": "Another."}, {"facts": {"findings": []}}, {"facts": {"findings": [FINDING, FINDING]}}]
)
def test_what_is_described_otherwise_is_an_update(old):
    (event,) = plan(alert_of(**old), incidents=[incident_of()])
    assert (event.event, event.sequence, event.actor, event.recorded_at) == (EventType.UPDATED, 2, WATCHDOG, NOW)
    assert (event.message, event.facts) == ("Batch stalled: It has stalled.", {"findings": [FINDING]})


@pytest.mark.parametrize(("before", "event"), [(Health.WARNING, EventType.WORSENED), (Health.UNKNOWN, "worsened")])
def test_a_higher_severity_is_worse(before, event):
    (planned,) = plan(alert_of(severity=before), incidents=[incident_of()])
    assert (planned.event, planned.severity, planned.facts) == (event, Health.CRITICAL, {"findings": [FINDING]})
    assert (planned.recorded_at, planned.actor) == (NOW, WATCHDOG)


def test_a_lower_severity_is_an_update():
    (planned,) = plan(alert_of(ORPHANS, severity=Health.CRITICAL), incidents=[incident_of(ORPHANS)])
    assert (planned.event, planned.severity) == (EventType.UPDATED, Health.WARNING)


def test_an_alert_whose_rules_are_quiet_ends():
    (event,) = plan(alert_of())
    assert (event.event, event.recorded_at, event.actor, event.sequence) == (EventType.RESOLVED, NOW, WATCHDOG, 2)
    assert event.message == "Condition cleared."


@pytest.mark.parametrize(
    "conditions",
    [
        {"unknown": [("run", NIGHT)]},
        {"nights": frozenset()},
        {"nights": frozenset({NIGHT + timedelta(days=1)})},
        {"incidents": [incident_of()]},
    ],
)
def test_what_fires_is_unknown_or_was_not_checked_does_not_end(conditions):
    assert plan(alert_of(), **conditions) == ()


def test_what_is_unknown_of_another_night_or_cause_ends_this_one():
    unknown = [("run", NIGHT + timedelta(days=1)), ("rows", NIGHT)]
    assert [event.event for event in plan(alert_of(), unknown=unknown)] == ["resolved"]


def test_an_alert_of_the_platform_ends_in_every_check():
    assert [event.event for event in plan(alert_of(ORPHANS), nights=frozenset())] == ["resolved"]


def test_an_alert_that_has_ended_does_not_end_again():
    assert plan(after(alert_of(), "resolved")) == ()


def test_an_alert_that_ended_by_itself_opens_again_at_once():
    (event,) = plan(after(alert_of(), "resolved"), incidents=[incident_of()])
    assert (event.alert_id, event.event, event.sequence) == ("run-x", EventType.REOPENED, 3)
    assert (event.recorded_at, event.actor, event.facts) == (NOW, WATCHDOG, {"findings": [FINDING]})


@pytest.mark.parametrize(("minutes", "count"), [(14.9, 0), (15, 1)])
def test_what_a_person_resolved_opens_again_after_a_quarter_of_an_hour(minutes, count):
    resolved = after(alert_of(), "resolved", "nora")
    events = plan(resolved, incidents=[incident_of()], now=NOW + timedelta(minutes=minutes))
    assert [event.event for event in events] == ["reopened"] * count


@pytest.mark.parametrize(("days", "alert_id"), [(0, "staging-x"), (1, "staging-2025-12-30")])
def test_an_ended_alert_of_the_platform_opens_again_on_its_day_and_is_a_new_one_later(days, alert_id):
    ended = after(alert_of(ORPHANS), "resolved")
    (event,) = plan(ended, incidents=[incident_of(ORPHANS)], now=NOW + timedelta(days=days))
    assert (event.alert_id, event.event) == (alert_id, "opened" if days else "reopened")


def test_an_open_alert_of_the_platform_goes_on_the_next_day():
    assert plan(alert_of(ORPHANS), incidents=[incident_of(ORPHANS)], now=NOW + timedelta(days=1)) == ()


def test_an_ended_alert_of_a_night_opens_again_on_a_later_day_too():
    (event,) = plan(after(alert_of(), "resolved"), incidents=[incident_of()], now=NOW + timedelta(days=2))
    assert (event.alert_id, event.event) == ("run-x", "reopened")


def make_test(*events: str) -> Alert:
    alert = alert_of(RuleResult(RULES_BY_NAME["channel"], Health.OK, "", "test"))
    for event in events:
        alert = after(alert, event)
    return alert


@pytest.mark.parametrize(
    ("events", "ended"), [((), 0), (("not told",), 0), (("told",), 1), (("told", "resolved"), 0), (("telling",), 0)]
)
def test_a_test_message_ends_when_it_has_arrived(events, ended):
    planned = plan(make_test(*events))
    assert [(e.event, e.actor, e.recorded_at, e.message) for e in planned] == [
        ("resolved", WATCHDOG, NOW, "Delivered.")
    ] * ended


# --- incidents --------------------------------------------------------------------------------------------------------------


def result(rule: str, health: Health = Health.CRITICAL, night: Any = NIGHT, message: str = "So.") -> RuleResult:
    return RuleResult(RULES_BY_NAME[rule], health, message, RULES_BY_NAME[rule].cause, night)


def test_results_of_one_cause_and_night_are_one_incident_led_by_the_most_causal_rule():
    results = [result("write_success"), result("dml_rejections", message="90 rejected."), result("stalled")]
    writes, run = group_by_cause([*results, result("coverage", Health.OK)])
    assert (writes.cause, writes.game_date, writes.message) == (
        "writes",
        NIGHT,
        "Writes rejected (DML limit): 90 rejected.",
    )
    assert [r.rule.name for r in writes.results] == ["dml_rejections", "write_success"]
    assert (writes.rule, writes.leading_result) == (RULES_BY_NAME["dml_rejections"], results[1])
    assert (run.cause, len(run.results)) == ("run", 1)


def test_one_cause_on_two_nights_is_two_incidents():
    incidents = group_by_cause([result("stalled"), result("stalled", night=NIGHT - timedelta(days=1))])
    assert [incident.game_date for incident in incidents] == [NIGHT, NIGHT - timedelta(days=1)]


def test_incidents_come_worst_first_and_then_in_the_order_of_the_rules():
    results = [
        result("names", Health.WARNING),
        result("unreadable", Health.UNKNOWN),
        result("duplicates"),
        result("stalled"),
    ]
    assert [incident.rule.name for incident in group_by_cause(results)] == [
        "stalled",
        "duplicates",
        "unreadable",
        "names",
    ]


def test_an_incident_is_as_severe_as_its_worst_result():
    (incident,) = group_by_cause([result("dml_rejections", Health.WARNING), result("write_success")])
    assert incident.severity is Health.CRITICAL


def test_a_source_that_is_away_is_an_incident_and_another_unknown_rule_is_none():
    results = [result("stalled", Health.UNKNOWN), result("unreadable", Health.UNKNOWN, message="")]
    assert group_by_cause(results) == ()
    assert [i.cause for i in group_by_cause([result("unreadable", Health.UNKNOWN)])] == ["sight"]


def test_causes_without_data_are_those_of_unknown_rules_and_coverages_may_be_any_that_it_shows():
    results = [result("stalled", Health.UNKNOWN), result("duplicates"), result("names", Health.OK)]
    assert causes_without_data(results) == {("run", NIGHT)}
    causes = {"generation", "writes", "run", "rows"}
    assert causes_without_data([result("coverage", Health.UNKNOWN)]) == {(cause, NIGHT) for cause in causes}
    assert causes_without_data([]) == frozenset()
