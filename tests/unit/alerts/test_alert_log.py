"""The events of an alert as they are recorded: old values are written, old and new ones are read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import pytest

from services.alerts.alert_log import (
    WATCHDOG,
    Alert,
    Alerts,
    Event,
    EventType,
    _to_event,
    append_event,
    read_alerts,
)
from services.core.result import DataSource, Health
from services.gcp import query_catalog

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
NIGHT = date(2025, 12, 29)


def make_row(event: str) -> Any:
    record = Event("a", 1, event, NOW, WATCHDOG, "writes", None, Health.CRITICAL, "stalled", "Trouble").to_row()
    return {**record, "facts": None}


@pytest.mark.parametrize(
    ("recorded", "event"),
    [
        ("told", EventType.NOTIFIED),
        ("notified", EventType.NOTIFIED),
        ("not told", EventType.NOTIFY_FAILED),
        ("notify_failed", EventType.NOTIFY_FAILED),
        ("telling", EventType.NOTIFYING),
        ("notifying", EventType.NOTIFYING),
        ("escalating", EventType.ESCALATING),
        ("escalated", EventType.ESCALATED),
        ("not escalated", EventType.ESCALATION_FAILED),
        ("mending", EventType.REMEDIATION_STARTED),
        ("remediation_started", EventType.REMEDIATION_STARTED),
        ("opened", EventType.OPENED),
    ],
)
def test_old_and_new_names_of_an_event_are_read(recorded, event):
    assert _to_event(make_row(recorded)).event is event


def test_an_event_of_a_later_version_is_kept_as_recorded():
    assert _to_event(make_row("forwarded")).event == "forwarded"


def test_events_are_written_with_their_first_names():
    assert [str(event) for event in EventType] == [
        "opened",
        "worsened",
        "reopened",
        "updated",
        "acknowledged",
        "silenced",
        "resolved",
        "mending",
        "telling",
        "told",
        "not told",
        "escalating",
        "escalated",
        "not escalated",
    ]
    row = make_row(EventType.NOTIFIED)
    assert (row["event"], type(row["event"])) == ("told", str)


# --- an alert of its events -------------------------------------------------------------------------------------------------


def make_alert(*events: str, **changes: Any) -> Alert:
    """An alert that opened at NOW and had these events, a minute apart; `changes` are of the last."""
    opened = Event(
        "run-x",
        1,
        EventType.OPENED,
        NOW,
        WATCHDOG,
        "run",
        NIGHT,
        Health.WARNING,
        "stalled",
        "Trouble",
        facts={"findings": [{"rule": "stalled"}]},
    )
    alert = Alert("run-x", (opened,))
    for minute, event in enumerate(events, 1):
        is_last = minute == len(events)
        added = alert.new_event(event, NOW + timedelta(minutes=minute), "nora", **(changes if is_last else {}))
        alert = Alert("run-x", (*alert.events, added))
    return alert


def test_an_event_is_written_with_its_columns():
    event = Event(
        "run-x",
        2,
        EventType.SILENCED,
        NOW,
        "nora",
        "run",
        NIGHT,
        Health.CRITICAL,
        "stalled",
        "Trouble",
        "deploy",
        NOW,
        "m1",
        {"at": NOW, "n": 1},
        "host:1",
    )
    assert event.to_row() == {
        "alert_id": "run-x",
        "sequence": 2,
        "event": "silenced",
        "recorded_at": NOW,
        "actor": "nora",
        "cause": "run",
        "game_date": NIGHT,
        "severity": "critical",
        "rule": "stalled",
        "sentence": "Trouble",
        "reason": "deploy",
        "silent_until": NOW,
        "message_id": "m1",
        "facts": f'{{"at": "{NOW}", "n": 1}}',
        "recorded_by": "host:1",
    }
    assert type(event.to_row()["severity"]) is str
    assert _to_event(cast("Any", event.to_row())) == replace(event, facts={"at": str(NOW), "n": 1})


def test_what_an_event_does_not_have_is_null_and_is_read_as_empty():
    event = make_alert().latest_event
    row = event.to_row()
    assert (row["reason"], row["message_id"], row["silent_until"]) == (None, None, None)
    assert _to_event(cast("Any", row)) == event
    assert _to_event(cast("Any", {**row, "facts": None})).facts == {}


@pytest.mark.parametrize("event", ["opened", "worsened", "reopened", "updated"])
def test_an_alert_is_what_its_newest_description_says(event):
    facts = {"findings": ({"rule": "at_zero"},)}
    alert = make_alert(event, severity=Health.CRITICAL, rule="at_zero", message="Worse", facts=facts)
    later = Alert("run-x", (*alert.events, alert.new_event("told", NOW, WATCHDOG, message="x", severity=Health.OK)))
    assert (later.severity, later.rule, later.message) == (Health.CRITICAL, "at_zero", "Worse")
    assert later.rule_results == ({"rule": "at_zero"},)
    assert (later.cause, later.game_date, later.latest_event.event) == ("run", NIGHT, "told")
    evidence = ({"rule": "stalled"},) if event == "reopened" else ()  # by a person, who describes nothing
    assert make_alert(event).rule_results == evidence


def test_a_new_event_is_about_what_the_alert_is_about():
    alert = make_alert("worsened", severity=Health.CRITICAL, rule="at_zero", message="Worse")
    event = alert.new_event("told", NOW, "nora", notification_id="m1")
    assert (event.alert_id, event.sequence, event.event) == ("run-x", 3, "told")
    assert (event.recorded_at, event.actor, event.notification_id) == (NOW, "nora", "m1")
    assert (event.cause, event.game_date, event.severity) == ("run", NIGHT, Health.CRITICAL)
    assert (event.rule, event.message, event.facts) == ("at_zero", "Worse", {})


@pytest.mark.parametrize(
    ("events", "state", "ended"),
    [
        ((), "open", False),
        (("acknowledged",), "acknowledged", False),
        (("silenced",), "silenced", False),
        (("resolved",), "resolved", True),
        (("resolved", "told", "updated"), "resolved", True),
        (("resolved", "reopened"), "open", False),
        (("acknowledged", "worsened", "escalated"), "acknowledged", False),
    ],
)
def test_the_state_is_that_of_the_newest_event_that_changes_one(events, state, ended):
    alert = make_alert(*events)
    assert (alert.state(NOW), alert.ended) == (state, ended)


def test_a_silence_ends_by_itself_and_only_a_silence():
    silenced = make_alert("silenced", silent_until=NOW + timedelta(hours=1))
    before = NOW + timedelta(minutes=59.9)
    assert (silenced.state(before), silenced.state(NOW + timedelta(hours=1))) == ("silenced", "open")
    acknowledged = make_alert("acknowledged", silent_until=NOW)
    assert acknowledged.state(before) == "acknowledged"


def test_an_alert_whose_cause_has_no_time_is_as_old_as_the_watchdogs_last_opening():
    assert make_alert("worsened", "told").since == NOW
    reopened = make_alert("resolved", "reopened", facts={"findings": []})
    assert (reopened.since, reopened.opened_at) == (NOW + timedelta(minutes=2), NOW + timedelta(minutes=2))
    by_a_person = make_alert("acknowledged", "reopened")
    assert (by_a_person.since, by_a_person.opened_at) == (NOW, NOW + timedelta(minutes=2))


@pytest.mark.parametrize("events", [("updated",), ("worsened",), ("resolved", "reopened")])
def test_an_alert_is_as_old_as_its_cause_and_not_as_the_check_that_noticed_it(events):
    cause = NOW - timedelta(hours=11)
    facts = {"findings": [], "since": cause.isoformat()}
    alert = make_alert(*events, facts=facts)
    assert alert.since == cause
    later = alert.new_event("updated", NOW, WATCHDOG, facts={"findings": [], "since": NOW.isoformat()})
    assert Alert("run-x", (*alert.events, later)).since == cause


def test_a_cause_of_before_the_last_opening_is_over():
    ended = make_alert("updated", facts={"findings": [], "since": (NOW - timedelta(hours=11)).isoformat()})
    resolved = Alert("run-x", (*ended.events, ended.new_event("resolved", NOW, WATCHDOG)))
    again = resolved.new_event("reopened", NOW, WATCHDOG, facts={"findings": [], "since": NOW.isoformat()})
    assert Alert("run-x", (*resolved.events, again)).since == NOW


def test_the_remedy_of_an_alert_is_that_of_its_leading_rule():
    assert make_alert().hint == ""
    assert make_alert("updated", facts={"findings": [{"rule": "stalled", "hint": "Re-run."}]}).hint == "Re-run."


def test_events_since_the_last_message_are_not_yet_told():
    alert = make_alert("told", "worsened", "not told", "mending")
    assert [event.event for event in alert.unnotified_events] == ["worsened", "not told", "mending"]
    assert [event.event for event in make_alert("worsened").unnotified_events] == ["opened", "worsened"]
    newest = alert.latest(EventType.NOTIFIED)
    assert newest is not None
    assert newest.sequence == 2
    assert alert.latest(EventType.SILENCED) is None


# --- all alerts -------------------------------------------------------------------------------------------------------------


def rename(alert: Alert, alert_id: str, **changes: Any) -> Alert:
    return Alert(alert_id, tuple(replace(event, alert_id=alert_id, **changes) for event in alert.events))


def test_open_alerts_come_worst_first_and_then_the_oldest():
    old = rename(make_alert(), "old")
    new = rename(make_alert(), "new", recorded_at=NOW + timedelta(minutes=5))
    bad = rename(make_alert(), "bad", severity=Health.CRITICAL, recorded_at=NOW + timedelta(minutes=9))
    others = (rename(make_alert("resolved"), "ended"), rename(make_alert(), "test", cause="test"))
    alerts = Alerts((new, *others, old, bad), DataSource("alerts", NOW))
    assert [alert.alert_id for alert in alerts.open] == ["bad", "old", "new"]


def test_the_alert_of_a_cause_and_night_is_the_open_one_or_the_last_that_ended():
    later = NOW + timedelta(hours=1)
    first, second = rename(make_alert("resolved"), "a"), rename(make_alert("resolved"), "b", recorded_at=later)
    source = DataSource("alerts", NOW)
    assert Alerts((second, first), source).find("run", NIGHT) == second
    opened = rename(make_alert(), "c")
    assert Alerts((first, opened, second), source).find("run", NIGHT) == opened
    assert Alerts((opened,), source).find("rows", NIGHT) is None
    assert Alerts((opened,), source).find("run", None) is None


def test_events_are_recorded_once_per_number_and_read_in_their_order(records):
    clients = records.clients()
    alert = rename(make_alert("acknowledged", "told"), "a")
    assert [append_event(clients, event) for event in reversed(alert.events)] == [True, True, True]
    assert append_event(clients, alert.latest_event) is False
    append_event(clients, rename(make_alert(), "b").latest_event)
    log = read_alerts(clients)
    assert ([a.alert_id for a in log.alerts], log.alerts[0]) == (["a", "b"], alert)
    assert log.source.name == "alerts.events"


@pytest.mark.parametrize(("days", "seconds", "shown"), [(14, 0, True), (14, 4 * 3600 - 1, True), (15, 0, False)])
def test_an_ended_alert_is_shown_for_a_fortnight_and_an_open_one_for_ever(records, days, seconds, shown):
    clients = records.clients()
    for event in rename(make_alert("resolved"), "ended", recorded_at=NOW).events:
        append_event(clients, event)
    append_event(clients, rename(make_alert(), "open").latest_event)
    records.clock.advance(days * 86_400 + seconds)
    assert [a.alert_id for a in read_alerts(clients).alerts] == (["ended", "open"] if shown else ["open"])


def test_an_alert_of_before_the_window_is_shown_while_it_is_open_and_then_for_a_fortnight(records):
    clients = records.clients()
    alert = rename(make_alert("acknowledged", "told"), "open")
    for event in alert.events:
        append_event(clients, event)
    records.clock.advance(200 * 86_400)
    assert read_alerts(clients).alerts == (alert,)
    append_event(clients, alert.new_event("resolved", records.clock.now(), WATCHDOG))
    assert [(a.ended, len(a.events)) for a in read_alerts(clients).alerts] == [(True, 4)]
    records.clock.advance(60 * 86_400)
    assert read_alerts(clients).alerts == ()


def test_a_message_about_an_alert_that_had_ended_before_the_window_is_no_alert(records):
    clients = records.clients()
    ended = rename(make_alert("resolved"), "ended")
    for event in (*ended.events, ended.new_event("told", NOW + timedelta(days=1), WATCHDOG)):
        append_event(clients, event)
    records.clock.at = NOW + timedelta(days=31)
    assert read_alerts(clients).alerts == ()


def test_what_was_open_before_the_window_is_read_once_a_day(records, monkeypatch):
    asked: list[str] = []
    run_query = query_catalog.run_query

    def count(clients, name, **params):
        asked.append(name)
        return run_query(clients, name, **params)

    monkeypatch.setattr(query_catalog, "run_query", count)
    clients = records.clients()
    for _ in range(3):
        read_alerts(clients)
    records.clock.advance(86_400)
    read_alerts(clients)
    assert (asked.count("alerts.events"), asked.count("alerts.open_before")) == (4, 2)


def test_the_fortnight_begins_at_midnight(records):
    clients = records.clients()
    midnight = NOW.replace(hour=0)
    for second, shown in ((0, True), (-1, False)):
        records.tables["alerts"].clear()
        alert_id = f"ended{second}"
        for event in rename(make_alert("resolved"), alert_id, recorded_at=midnight + timedelta(seconds=second)).events:
            append_event(clients, event)
        records.clock.at = midnight + timedelta(days=14, hours=23, minutes=59, seconds=59, microseconds=7)
        assert bool(read_alerts(clients).alerts) is shown
