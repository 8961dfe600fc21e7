"""The night on one line of time: what happened stands on it once, unknown is told, quiet hours take no room."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts.time_axis import fold as fold_time
from app.charts.time_axis import pauses, place
from services.actions.log_reader import Action, Log, State
from services.alerts.alert_log import Alerts, Event, fold
from services.batches.reader import Batches, read_batches
from services.core.clock import night_window
from services.core.result import Health, Problem, Reading, Source
from services.reports.night_events import ACTIONS, ALERTS, BATCHES, REJECTED, SCALED, night_line
from services.scaling.service_widths import read_widths
from services.telemetry.dml_jobs import read_writes
from tests.factories import NIGHT, NOW

AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)
SOURCE = Source("a test", NOW)
INSTANTS = st.lists(st.integers(0, 86_400), min_size=1, max_size=40).map(
    lambda seconds: [AT + timedelta(seconds=s) for s in seconds]
)


def action(verb: str = "run.start", state: State = State.DONE, ended: datetime | None = NOW) -> Action:
    told = ("id", "key", 1, verb, "2025-12-29", "Re-run 90 lost players", "nora", "operator", "", state, "158 of 158")
    return Action(*told, begun=NOW - timedelta(minutes=5), heard_of=NOW, ended=ended, recorded_by="", plan_json="")


def line(night: date = NIGHT, **changed: object):
    read = {
        "batches": Reading(Batches((), ())),
        "writes": Reading(None, Problem("job history", NOW, "not asked")),
        "widths": Reading(None, Problem("Cloud Run", NOW, "It does not answer")),
        "alerts": Reading(Alerts((), SOURCE)),
        "log": Reading(Log((), SOURCE)),
    }
    return night_line(night, NOW, **{**read, **changed})


def test_29_december_has_its_batch_its_90_rejections_and_its_new_revisions(cloud):
    told = line(
        batches=Reading(read_batches(cloud, NIGHT)),
        writes=Reading(read_writes(cloud, *night_window(NIGHT))),
        widths=Reading(read_widths(cloud)),
    )
    assert told.unknown == {}
    assert sum(mark.count for mark in told.of(REJECTED)) == 90
    (batch,) = told.of(BATCHES)
    assert (batch.label, batch.health) == ("158 asked, reported success", Health.UNKNOWN)
    assert [mark.label for mark in told.of(SCALED)] == ["coordinator 1 × 8", "worker 4 × 3"]


def test_what_could_not_be_read_is_unknown_with_its_reason_and_never_an_empty_lane():
    told = line(alerts=Reading(None, Problem("alerts", NOW, "The warehouse is down")))
    assert told.unknown[ALERTS] == "The warehouse is down"
    assert told.unknown[SCALED] == "It does not answer"
    assert REJECTED in told.unknown
    assert ACTIONS not in told.unknown


def test_alerts_of_a_night_too_old_to_be_kept_are_unknown():
    assert "14 days" in line(night=date(2025, 12, 10)).unknown[ALERTS]


def test_an_alert_is_marked_when_it_opened_and_when_it_ended_but_not_for_each_message():
    events = [
        Event(
            "a", n, event, NOW - timedelta(minutes=9 - n), "watchdog", "writes", NIGHT, Health.CRITICAL, "r", "90 gone"
        )
        for n, event in enumerate(["opened", "telling", "told", "resolved"])
    ]
    marks = line(alerts=Reading(Alerts(fold(events), SOURCE))).of(ALERTS)
    assert [(mark.label, mark.health) for mark in marks] == [
        ("writes opened", Health.CRITICAL),
        ("writes resolved", Health.OK),
    ]


@pytest.mark.parametrize(
    ("verb", "lane"), [("run.start", (ACTIONS,)), ("scaling.narrow", (SCALED,)), ("alerts.silence", ())]
)
def test_an_action_stands_in_one_lane_and_one_on_an_alert_is_told_by_the_alert(verb, lane):
    marks = line(log=Reading(Log((action(verb),), SOURCE))).marks
    assert tuple(mark.lane for mark in marks) == lane


def test_an_action_of_another_night_is_not_on_this_line():
    assert line(night=date(2025, 12, 28), log=Reading(Log((action(),), SOURCE))).marks == ()


def test_a_failed_action_is_critical_and_says_what_came_of_it():
    (mark,) = line(log=Reading(Log((action(state=State.FAILED),), SOURCE))).marks
    assert mark.health is Health.CRITICAL
    assert "158 of 158" in mark.sentence


def test_hours_in_which_nothing_happened_are_folded_and_their_length_is_told():
    later = AT + timedelta(hours=5)
    stretches = fold_time([AT, AT + timedelta(minutes=3), later])
    assert len(stretches) == 2
    ((middle, length),) = pauses(stretches)
    assert place(stretches, AT) < middle < place(stretches, later)
    assert timedelta(hours=4, minutes=50) < length < timedelta(hours=5)
    assert place(stretches, AT + timedelta(minutes=3)) - place(stretches, AT) > 0.15, "three minutes stay readable"


def test_nothing_has_no_axis():
    assert fold_time([]) == ()


@given(INSTANTS)
def test_the_axis_keeps_the_order_of_time_and_every_instant_on_it(instants):
    stretches = fold_time(instants)
    places = [place(stretches, at) for at in sorted(instants)]
    assert places == sorted(places)
    assert all(0 <= x <= 1 for x in places)
    assert len(stretches) <= 5
    assert all(any(each.start <= at <= each.end for each in stretches) for at in instants)
