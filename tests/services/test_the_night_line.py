"""The night on one line of time: what happened stands on it once, unknown is told, quiet hours take no room."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.time_axis import broken_axis as fold_time
from app.charts.time_axis import gaps, position
from services.actions.log_reader import Action, ActionLog, ActionState
from services.alerts.alert_log import Alerts, Event, group_by_alert
from services.batches.reader import Batches, read_batches
from services.core.clock import night_window
from services.core.result import DataSource, Health, Problem, Result
from services.reports.night_events import ACTIONS, ALERTS, BATCHES, REJECTED, SCALED, night_events
from services.scaling.service_widths import read_service_capacities
from services.telemetry.dml_jobs import read_writes
from tests.factories import NIGHT, NOW

AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)
SOURCE = DataSource("a test", NOW)
INSTANTS = st.lists(st.integers(0, 86_400), min_size=1, max_size=40).map(
    lambda seconds: [AT + timedelta(seconds=s) for s in seconds]
)


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
        "widths": Result(None, Problem("Cloud Run", NOW, "It does not answer")),
        "alerts": Result(Alerts((), SOURCE)),
        "log": Result(ActionLog((), SOURCE)),
    }
    return night_events(night, NOW, **{**readings, **overrides})


def test_29_december_has_its_batch_its_90_rejections_and_its_revisions(clients):
    events = build_events(
        batches=Result(read_batches(clients, NIGHT)),
        writes=Result(read_writes(clients, *night_window(NIGHT))),
        widths=Result(read_service_capacities(clients)),
    )
    assert events.unknown_lanes == {}
    assert sum(mark.count for mark in events.in_lane(REJECTED)) == 90
    (batch,) = events.in_lane(BATCHES)
    assert (batch.label, batch.health) == ("158 asked, reported success", Health.UNKNOWN)
    assert [mark.label for mark in events.in_lane(SCALED)] == ["coordinator 1 × 8", "worker 4 × 3"]


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
    marks = build_events(log=Result(ActionLog((make_action(verb),), SOURCE))).events
    assert tuple(mark.lane for mark in marks) == lane


def test_an_action_of_another_night_is_left_out():
    assert build_events(night=date(2025, 12, 28), log=Result(ActionLog((make_action(),), SOURCE))).events == ()


def test_a_failed_action_is_critical_and_shows_its_result():
    (mark,) = build_events(log=Result(ActionLog((make_action(state=ActionState.FAILED),), SOURCE))).events
    assert mark.health is Health.CRITICAL
    assert "158 of 158" in mark.message


def test_hours_without_events_are_collapsed_and_their_length_is_shown():
    after_gap = AT + timedelta(hours=5)
    segments = fold_time([AT, AT + timedelta(minutes=3), after_gap])
    assert len(segments) == 2
    ((middle, length),) = gaps(segments)
    assert position(segments, AT) < middle < position(segments, after_gap)
    assert timedelta(hours=4, minutes=50) < length < timedelta(hours=5)
    assert position(segments, AT + timedelta(minutes=3)) - position(segments, AT) > 0.15, "three minutes stay readable"


def test_no_instants_give_no_axis():
    assert fold_time([]) == ()


@given(INSTANTS)
def test_the_axis_preserves_order_and_contains_every_instant(instants):
    segments = fold_time(instants)
    positions = [position(segments, instant) for instant in sorted(instants)]
    assert positions == sorted(positions)
    assert all(0 <= x <= 1 for x in positions)
    assert len(segments) <= 5
    assert all(any(segment.start <= instant <= segment.end for segment in segments) for instant in instants)
