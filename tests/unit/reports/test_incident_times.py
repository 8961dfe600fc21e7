"""The course of an incident: each time with its source, and what cannot be known with its reason instead of a number."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.actions.log_reader import ActionLog, ActionState
from services.actions.plan import CoverageCount
from services.alerts.alert_log import TEST_MESSAGE, Alert, Alerts
from services.batches.reader import Batches
from services.nights.rows import TIME_OF_ROW
from services.reports.handoff_note import HandoffInputs
from services.reports.incident_file import render_incident
from services.reports.incident_times import Moment, find_times
from tests.support.alert_factories import (
    failed_result,
    make_players,
    make_rejected_players,
    make_write_report,
    ok_result,
)
from tests.support.factories import NIGHT as GAME_DATE
from tests.support.factories import NOW, TIP_OFF, make_attempt, make_night
from tests.support.night_facts import SETTINGS, UNREAD, make_facts
from tests.unit.alerts.test_notification import make_alert
from tests.unit.reports.test_events import SOURCE, make_action
from tests.unit.reports.test_handoff_note import make_note

BEGAN = TIP_OFF - timedelta(minutes=100)
WRITES = ok_result(make_write_report(
    make_attempt(at=BEGAN - timedelta(minutes=1)),
    make_attempt(at=BEGAN + timedelta(minutes=1), ok=False),
    make_attempt(at=BEGAN, ok=False),
))  # fmt: skip
_OPENED = replace(make_alert(1, BEGAN + timedelta(minutes=5)).events[0], game_date=GAME_DATE)
ALERT = Alert(
    _OPENED.alert_id,
    (
        _OPENED,
        replace(_OPENED, sequence=2, event="acknowledged", recorded_at=BEGAN + timedelta(minutes=25), actor="nora"),
    ),
)
NIGHT = make_night(
    *make_players(3, first_made_at=BEGAN - timedelta(minutes=9)),  # before it began
    *(replace(p, player_lookup="late", first_made_at=BEGAN + timedelta(minutes=30)) for p in make_players(1)),
    *(replace(p, player_lookup="after tip-off", first_made_at=TIP_OFF + timedelta(hours=2)) for p in make_players(1)),
    *make_rejected_players(2),
)


def make_inputs(**changes: Any) -> HandoffInputs:
    of_night: dict[str, Any] = {"night": ok_result(NIGHT), "writes": WRITES}
    facts: dict[str, Any] = {key: changes.pop(key) for key in ("night", "writes") if key in changes}
    inputs = HandoffInputs(make_facts(**{**of_night, **facts}), NOW - timedelta(days=1), *[UNREAD] * 7)
    log = ok_result(ActionLog((), SOURCE))
    return replace(
        inputs, **{"alerts": ok_result(Alerts((ALERT,), SOURCE)), "action_log": log, "notes": log, **changes}
    )


def test_it_began_with_the_first_rejected_write_and_each_time_has_its_source():
    times = find_times(make_inputs())
    assert (times.began.at, times.began.source) == (BEGAN, "first rejected write in the job history")
    assert (times.detected.at, times.after_beginning(times.detected)) == (ALERT.opened_at, ALERT.opened_at - BEGAN)
    assert times.acknowledged.at == ALERT.events[-1].recorded_at
    assert times.acknowledged.source.startswith(f"alert {ALERT.alert_id}, acknowledged by nora")
    assert (times.repaired.at, times.repaired.source) == (None, "not repaired: 2 of 7 players missing")


def test_player_minutes_are_counted_from_the_beginning_to_the_first_row_or_tip_off():
    """30 min of the one who was late, and the whole 100 of the one made after tip-off and of the two missing."""
    assert (find_times(make_inputs()).missing.minutes, find_times(make_inputs()).missing.players) == (330, 4)


def test_without_a_rejected_write_it_began_when_the_alert_says():
    times = find_times(make_inputs(writes=UNREAD))
    assert (times.began.at, times.began.source) == (ALERT.since, f"alert {ALERT.alert_id}")


UNKNOWN = [
    ({"writes": UNREAD, "alerts": failed_result("The alert log")}, "when it began is unknown"),
    ({"night": UNREAD}, "the night could not be read"),
    ({"night": ok_result(replace(NIGHT, tip_offs=()))}, "no tip-off is known"),
    ({"night": ok_result(replace(NIGHT, absent_columns=frozenset((TIME_OF_ROW,))))}, "the rows have no time"),
    ({"night": ok_result(make_night(*make_players(3)))}, "the rows of 3 players have no time"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), UNKNOWN)
def test_minutes_that_cannot_be_known_are_unknown_with_the_reason_and_never_0(changes, reason):
    missing = find_times(make_inputs(**changes)).missing
    assert (missing.minutes, missing.source) == (None, f"unknown: {reason}")
    assert f"before the first tip-off: **unknown: {reason}**" in render_incident(make_inputs(**changes), SETTINGS)


def test_alerts_that_are_unread_or_no_longer_read_are_not_called_absent():
    unread = find_times(make_inputs(alerts=failed_result("The alert log")))
    assert unread.detected.source == "unknown: the alert log could not be read: The alert log did not answer."
    inputs = make_inputs(alerts=ok_result(Alerts((), SOURCE)))
    assert find_times(inputs).detected.source == "no alert of the night is recorded"
    later = replace(inputs, facts=replace(inputs.facts, now=NOW + timedelta(days=40)))
    assert find_times(later).detected.source == "unknown: alerts that ended more than 14 days ago are not read"


REPAIRED = ok_result(make_night(*make_players(7, first_made_at=BEGAN + timedelta(minutes=30))))


def test_it_was_repaired_when_an_action_was_verified_with_every_eligible_player():
    part = replace(make_action(), coverage_before=CoverageCount(3, 7), coverage_after=CoverageCount(6, 7))
    whole = replace(part, ended_at=NOW, coverage_after=CoverageCount(7, 7))
    failed = replace(whole, state=ActionState.FAILED, ended_at=NOW - timedelta(hours=1))
    log = ok_result(ActionLog((whole, part, failed), SOURCE))
    times = find_times(make_inputs(night=REPAIRED, notes=log))
    assert times.repaired.at == NOW
    assert find_times(make_inputs(night=REPAIRED)).repaired.source.startswith("unknown: every player is active")
    assert find_times(make_inputs(night=REPAIRED, notes=UNREAD)).repaired.source.startswith("unknown: the action log")


def test_the_file_has_each_part_with_its_figures_and_sources():
    note = make_note("Vendor was late.")
    action = replace(
        make_action(), started_at=NOW - timedelta(minutes=5),
        coverage_before=CoverageCount(5, 7), coverage_after=CoverageCount(7, 7),
    )  # fmt: skip
    log = ok_result(ActionLog((action, note), SOURCE))
    text = render_incident(make_inputs(action_log=log, notes=log), SETTINGS)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert heads == ["# Incident of 2025-12-29", *(f"## {part}" for part in (
        "Cause", "Loss", "Times", "Repair", "Timeline", "Notes"))]  # fmt: skip
    assert "- 2 of 7 eligible players missing now (predictions table, context)" in text
    assert "- Writes rejected: 2 of 3 (job history)" in text
    assert (
        "- Player-minutes missing before the first tip-off: **330**, of 4 players without rows when it began (" in text
    )
    assert "| Began | 29 Dec 17:20 ET |  | first rejected write in the job history |" in text
    assert "| Acknowledged | 29 Dec 17:45 ET | 25 min |" in text
    assert "| Repaired | — | — | not repaired: 2 of 7 players missing |" in text
    assert ": done, 5 → 7 of 7 active, by nora" in text
    assert "Vendor was late." in text.partition("## Notes")[2]


def render(**changes: Any) -> str:
    return render_incident(make_inputs(**changes), SETTINGS)


def test_a_night_in_order_says_that_nothing_is_wrong_and_one_that_is_not_names_its_cause():
    nothing_wrong = "- Nothing is wrong now; the timeline has what was."
    in_order = replace(make_inputs(), facts=make_facts(night=ok_result(make_night(*make_players(114)))))
    assert nothing_wrong in render_incident(in_order, SETTINGS)
    assert nothing_wrong not in render()
    assert "- **Cause**: " in render()


def test_rows_and_writes_that_are_not_known_are_unknown_and_not_0():
    partly = replace(make_write_report(), attempted=None, rejected=None)
    text = render(writes=ok_result(partly), night=ok_result(replace(NIGHT, generated_rows=None)))
    assert "rows active of an unknown number generated" in text
    assert "- Writes rejected: unknown of unknown (job history)" in text
    assert f"rows active of {75} generated" in render(night=ok_result(replace(NIGHT, generated_rows=75)))


def test_the_repair_has_the_actions_about_the_coverage_and_says_when_there_is_none():
    none = "- No action of the shift was about the coverage."
    about_nothing = replace(make_action(), started_at=NOW - timedelta(minutes=5), title="Silence an alert")
    unverified = replace(about_nothing, title="Re-run 2 players", coverage_before=CoverageCount(5, 7))
    repair = render(action_log=ok_result(ActionLog((about_nothing,), SOURCE))).partition("## Repair")[2]
    assert none in repair
    assert "Silence an alert" not in repair.partition("## Timeline")[0]
    repair = render(action_log=ok_result(ActionLog((unverified,), SOURCE))).partition("## Repair")[2]
    assert none not in repair
    assert "Re-run 2 players" in repair
    assert ": done, by nora" in repair
    assert none not in render(action_log=UNREAD)


def test_the_timeline_names_who_did_what_and_says_when_nothing_was_done():
    action = replace(make_action(), started_at=NOW - timedelta(minutes=5))
    timeline = render(action_log=ok_result(ActionLog((action,), SOURCE))).partition("## Timeline")[2]
    assert "(nora)" in timeline
    assert "()" not in timeline
    assert "- No events." not in timeline
    calm = make_inputs(alerts=ok_result(Alerts((), SOURCE)))
    calm = replace(calm, facts=replace(calm.facts, batches=ok_result(Batches((), ()))))
    assert "- No events." in render_incident(calm, SETTINGS).partition("## Timeline")[2]


def with_alerts(*alerts: Alert) -> Any:
    return find_times(make_inputs(writes=UNREAD, alerts=ok_result(Alerts(alerts, SOURCE))))


def test_an_alert_of_another_night_and_a_test_of_the_channel_are_no_part_of_the_incident():
    earlier = replace(_OPENED, alert_id="earlier", recorded_at=BEGAN - timedelta(days=1))
    other = Alert("earlier", (replace(earlier, game_date=GAME_DATE - timedelta(days=1)),))
    of_no_night = Alert("earlier", (replace(earlier, game_date=None),))
    test = Alert("earlier", (replace(earlier, cause=TEST_MESSAGE),))
    for alert in (other, of_no_night, test):
        assert with_alerts(alert, ALERT).detected.source == f"alert {ALERT.alert_id} opened"
        assert with_alerts(alert).detected.source == "no alert of the night is recorded"


def test_only_an_answer_of_a_person_acknowledges():
    resolved = replace(_OPENED, sequence=2, event="resolved", recorded_at=BEGAN + timedelta(minutes=9))
    updated = replace(resolved, event="updated", actor="nora")
    for event in (resolved, updated):
        unanswered = with_alerts(Alert(_OPENED.alert_id, (_OPENED, event))).acknowledged
        assert (unanswered.at, unanswered.source) == (None, "no alert of the night was acknowledged")
    assert with_alerts().acknowledged.source == "no alert of the night is recorded"


def test_without_a_beginning_nothing_is_so_long_after_it():
    times = with_alerts()
    assert times.began.at is None
    assert times.after_beginning(Moment(NOW, "an action")) is None


def test_only_a_verified_end_of_an_action_on_the_night_repaired_it():
    whole = replace(make_action(), coverage_before=CoverageCount(3, 7), coverage_after=CoverageCount(7, 7))
    of_another_night = replace(whole, target="2025-12-28", title="Re-run 2025-12-28")
    no_repair = (
        of_another_night,
        replace(whole, ended_at=None),
        replace(whole, coverage_after=None),
        replace(whole, coverage_after=CoverageCount(6, 7)),
    )
    log = ok_result(ActionLog(no_repair, SOURCE))
    assert find_times(make_inputs(night=REPAIRED, notes=log)).repaired.at is None
    by_title = replace(whole, target="prediction-worker", title="Re-run 2025-12-29")
    log = ok_result(ActionLog((by_title,), SOURCE))
    assert find_times(make_inputs(night=REPAIRED, notes=log)).repaired.at == NOW
