"""The events of a night: each is on the timeline once and in the list once, and an unknown source is never empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.actions.log_reader import Action, ActionLog, ActionState
from services.alerts.alert_log import Alerts, Event, group_by_alert
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import DataSource, Health, Problem, Result
from services.reports.dated_changes import changes_by_date
from services.reports.event import ACTIONS, ALERTS, REJECTED, SCALED
from services.reports.events import night_events, recent_events
from services.scaling.deploys import Deploy, DeployHistory
from services.telemetry.dml_jobs import build_report
from tests.support.alert_factories import (
    BATCH,
    SETTINGS,
    STARTED,
    make_batch,
    make_rejection_burst,
    make_write_report,
)
from tests.support.factories import NIGHT, NOW, make_attempt

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


def build_events(night: date = NIGHT, **overrides: Any):
    readings: dict[str, Any] = {
        "batches": Result(Batches((), ())),
        "writes": Result(None, Problem("job history", NOW, "not asked")),
        "deploys": Result(None, Problem("Cloud Run", NOW, "It does not answer")),
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
        for n, event in enumerate(["opened", "telling", "told", "escalating", "escalated", "resolved"])
    ]
    marks = build_events(alerts=Result(Alerts(group_by_alert(events), SOURCE))).in_lane(ALERTS)
    assert [(mark.label, mark.health) for mark in marks] == [
        ("r · opened", Health.CRITICAL),
        ("r · resolved", Health.OK),
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


def test_the_list_has_the_notifications_and_the_timeline_the_updates():
    names = ["opened", "updated", "telling", "told", "not told", "resolved"]
    records = [
        Event(
            "a", n, name, NOW - timedelta(minutes=9 - n), "watchdog", "writes", NIGHT, Health.CRITICAL, "r", "90 gone"
        )
        for n, name in enumerate(names)
    ]
    alerts = Alerts(group_by_alert(records), SOURCE)
    listed = recent_events(alerts, None, None, None, NOW - timedelta(hours=1), NOW)
    assert [(event.kind, event.summary.split(":")[0]) for event in listed] == [
        ("alert", "a resolved"),
        ("notification", "a notification failed"),
        ("notification", "a notified"),
        ("alert", "a opened"),
    ]
    labels = [mark.label for mark in build_events(alerts=Result(alerts)).in_lane(ALERTS)]
    assert labels == ["r · opened", "r · updated", "r · resolved"]


def test_a_batch_is_one_bar_on_the_timeline_and_two_rows_in_the_list():
    batches = Batches((make_batch(started=NOW - timedelta(minutes=9), ended=NOW - timedelta(minutes=2)),), ())
    (bar,) = build_events(batches=Result(batches)).events
    assert (bar.at, bar.ended, bar.label) == (
        NOW - timedelta(minutes=9),
        NOW - timedelta(minutes=2),
        "158 requested · consolidated",
    )
    ended, began = recent_events(None, None, batches, None, NOW - timedelta(hours=1), NOW)
    assert (began.summary, began.actor) == (f"{BATCH} started, 158 requested", "scheduler")
    assert (ended.summary, ended.actor) == (f"{BATCH} ended: consolidated, consolidated", "coordinator")


def test_the_list_ends_before_its_end():
    log = ActionLog((make_action(),), SOURCE)  # begun five minutes ago
    began = NOW - timedelta(minutes=5)
    assert recent_events(None, log, None, None, began - timedelta(hours=1), began) == ()
    assert [event.kind for event in recent_events(None, log, None, None, began, NOW)] == ["action"]


def make_deploys(complete_since: datetime | None = None) -> DeployHistory:
    deploys = (
        Deploy("prediction-worker", "prediction-worker-00012-abc", NOW - timedelta(minutes=1), "watchdog", 20, 5),
        Deploy("prediction-worker", "prediction-worker-00011-zw5", NOW - timedelta(hours=5), "", 4, 3),
        Deploy("prediction-worker", "prediction-worker-00010-k7d", NOW - timedelta(days=9), "nora", 20, 5, "no image"),
    )
    return DeployHistory(deploys, SOURCE, complete_since)


def test_every_deploy_of_a_night_is_marked_whatever_serves_now():
    events = build_events(deploys=Result(make_deploys()))
    assert [(mark.label, mark.health) for mark in events.in_lane(SCALED)] == [
        ("worker 4 × 3", Health.WARNING),
        ("worker 20 × 5", Health.NONE_EXPECTED),
    ]
    assert events.in_lane(SCALED)[0].message == "Revision prediction-worker-00011-zw5 deployed (4 × 3), by unknown"
    assert SCALED not in events.unknown_lanes
    listed = recent_events(None, None, None, make_deploys(), NOW - timedelta(days=10), NOW)
    assert [event.kind for event in listed] == ["deploy"] * 3
    assert (
        listed[-1].summary == "Revision prediction-worker-00010-k7d deployed (20 × 5), did not become ready: no image"
    )


def test_deploys_before_those_that_were_read_are_unknown():
    lanes = build_events(deploys=Result(make_deploys(complete_since=NOW - timedelta(hours=6)))).unknown_lanes
    assert lanes[SCALED] == "deploys before 30 Dec 00:45 UTC are not read"
    assert SCALED not in build_events(deploys=Result(make_deploys(NOW - timedelta(days=9)))).unknown_lanes


def test_writes_of_which_neither_source_could_be_read_are_an_unknown_lane():
    unread = build_report(STARTED, NOW, None, None, SETTINGS)
    assert build_events(writes=Result(unread)).unknown_lanes[REJECTED] == (
        "neither the job history nor the log could be read"
    )
    assert REJECTED not in build_events(writes=Result(make_write_report())).unknown_lanes


def test_only_minutes_with_a_rejected_write_are_marked():
    report = make_write_report(make_attempt(at=STARTED), *make_rejection_burst(2))
    assert [mark.label for mark in build_events(writes=Result(report)).in_lane(REJECTED)] == ["2"]


def test_scale_changes_are_unknown_without_the_action_log_though_deploys_were_read():
    lanes = build_events(deploys=Result(make_deploys()), action_log=Result(None)).unknown_lanes
    assert lanes[SCALED] == "the action log could not be read"


def test_the_list_begins_with_its_start():
    log = ActionLog((make_action(),), SOURCE)  # begun five minutes ago
    assert recent_events(None, log, None, None, NOW - timedelta(minutes=4), NOW) == ()


def test_the_bar_of_a_batch_grows_only_while_it_runs_and_never_backwards():
    just_begun = make_batch(started=NOW + timedelta(seconds=20), ended=None, state=BatchState.RUNNING)
    (bar,) = build_events(batches=Result(Batches((just_begun,), ()))).events
    assert bar.ended == bar.at
    stalled = make_batch(started=NOW - timedelta(minutes=40), ended=None, state=BatchState.STALLED)
    (bar,) = build_events(batches=Result(Batches((stalled,), ()))).events
    assert bar.ended is None


def test_changes_stand_at_the_date_of_their_night_and_what_was_not_read_is_named():
    late = Deploy("prediction-worker", "r2", datetime(2025, 12, 30, 10, 59, tzinfo=UTC), "nora", 4, 3)  # 05:59 ET
    early = Deploy("prediction-worker", "r1", datetime(2025, 12, 20, tzinfo=UTC), "nora", 20, 5)
    history, log = DeployHistory((late, early), SOURCE), ActionLog((make_action(),), SOURCE)
    log_start, now = datetime(2025, 12, 23, tzinfo=UTC), datetime(2025, 12, 30, 12, tzinfo=UTC)
    changes = changes_by_date(date(2025, 12, 22), now, Result(history), Result(log), log_start)
    assert {day: [event.kind for event in events] for day, events in changes.by_date.items()} == {
        NIGHT: ["action", "deploy"]
    }
    assert changes.gaps == ("actions before 23 Dec not read",)
    partial = replace(history, complete_since=datetime(2025, 12, 24, 11, tzinfo=UTC))  # 06:00 ET
    unread: Result[Any] = Result(None, Problem("action log", NOW, "It does not answer."))
    assert changes_by_date(NIGHT, now, Result(history), Result(log), log_start).gaps == ()
    assert changes_by_date(date(2025, 12, 22), now, Result(partial), unread, log_start).gaps == (
        "deploys before 24 Dec not read",
        "actions unknown: It does not answer.",
    )


def test_a_note_is_marked_on_the_timeline_of_the_night_it_is_about_and_of_no_other():
    from tests.unit.reports.test_handoff_note import make_note  # it makes its actions with this module's

    notes = (make_note("Waiting for late lines of LAL and BOS until seven."), make_note("x", game_date="2025-12-28"))
    log = ActionLog(notes, SOURCE)
    [mark] = build_events(action_log=Result(log)).in_lane(ACTIONS)
    assert mark.label == "note · Waiting for late lines of LAL and BOS…"
    assert mark.message == "Note by nora, night 2025-12-29: Waiting for late lines of LAL and BOS until seven."
    listed = recent_events(None, log, None, None, NOW - timedelta(days=1), NOW)
    assert [event.kind for event in listed] == ["note", "note"]
    dated = changes_by_date(NIGHT, NOW, Result(DeployHistory((), SOURCE)), Result(log), NOW)
    assert dated.by_date == {}, "a note changes nothing"
