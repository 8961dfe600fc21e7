"""The night on one line of time: what happened stands on it once, unknown is told, quiet hours take no room."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.actions.log_reader import Action, ActionLog, ActionState
from services.alerts.alert_log import Alerts, Event, group_by_alert
from services.batches.reader import Batches
from services.core.result import DataSource, Health, Problem, Result
from services.reports.night_events import ACTIONS, ALERTS, REJECTED, SCALED, night_events
from tests.support.factories import NIGHT, NOW

AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)
SOURCE = DataSource("a test", NOW)


def make_action(
    action_name: str = "run.start", state: ActionState = ActionState.DONE, ended: datetime | None = NOW
) -> Action:
    fields = (
        "id",
        "key",
        1,
        action_name,
        "2025-12-29",
        "Re-run 90 lost players",
        "nora",
        "operator",
        "",
        state,
        "158 of 158",
    )
    return Action(
        *fields, started_at=NOW - timedelta(minutes=5), last_event_at=NOW, ended_at=ended, recorded_by="", plan_json=""
    )


def build_events(night: date = NIGHT, **overrides: object):
    readings = {
        "batches": Result(Batches((), ())),
        "writes": Result(None, Problem("job history", NOW, "not asked")),
        "capacities": Result(None, Problem("Cloud Run", NOW, "It does not answer")),
        "alerts": Result(Alerts((), SOURCE)),
        "action_log": Result(ActionLog((), SOURCE)),
    }
    return night_events(night, NOW, **{**readings, **overrides})


def test_an_unreadable_lane_is_unknown_with_its_reason_and_never_empty():
    events = build_events(alerts=Result(None, Problem("alerts", NOW, "The warehouse is down")))
    assert events.unknown_lanes[ALERTS] == "The warehouse is down"
    assert events.unknown_lanes[SCALED] == "It does not answer"
    assert REJECTED in events.unknown_lanes
    assert ACTIONS not in events.unknown_lanes


def test_alerts_beyond_their_retention_are_unknown():
    assert "14 days" in build_events(night=date(2025, 12, 10)).unknown_lanes[ALERTS]


def test_an_alert_is_marked_at_its_start_and_end_but_not_for_each_message():
    events = [
        Event(
            "a", n, event, NOW - timedelta(minutes=9 - n), "watchdog", "writes", NIGHT, Health.CRITICAL, "r", "90 gone"
        )
        for n, event in enumerate(["opened", "telling", "told", "resolved"])
    ]
    marks = build_events(alerts=Result(Alerts(group_by_alert(events), SOURCE))).in_lane(ALERTS)
    assert [(mark.label, mark.health) for mark in marks] == [
        ("writes opened", Health.CRITICAL),
        ("writes resolved", Health.OK),
    ]


@pytest.mark.parametrize(
    ("verb", "lane"), [("run.start", (ACTIONS,)), ("scaling.narrow", (SCALED,)), ("alerts.silence", ())]
)
def test_an_action_is_in_one_lane_and_alert_actions_are_in_none(verb, lane):
    marks = build_events(action_log=Result(ActionLog((make_action(verb),), SOURCE))).events
    assert tuple(mark.lane for mark in marks) == lane


def test_an_action_of_another_night_is_left_out():
    assert build_events(night=date(2025, 12, 28), action_log=Result(ActionLog((make_action(),), SOURCE))).events == ()


def test_a_failed_action_is_critical_and_shows_its_result():
    (mark,) = build_events(action_log=Result(ActionLog((make_action(state=ActionState.FAILED),), SOURCE))).events
    assert mark.health is Health.CRITICAL
    assert "158 of 158" in mark.message
