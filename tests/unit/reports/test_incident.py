"""The head of the overview: its state, its cause, its facts, and nothing that is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.alerts.alert_log import Alert, Alerts, Event, EventType
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.result import DataSource, Health, Result
from services.judgement.judge import judge_night
from services.reports.incident import Fact, Incident, IncidentState, build_incident
from tests.support.alert_factories import (
    STARTED,
    make_batch,
    make_batch_record,
    make_players,
    make_rejected_players,
    make_rejection_burst,
    make_schedule,
    make_unrequested_players,
    make_write_report,
)
from tests.support.factories import NIGHT, NOW, TIP_OFF, make_night
from tests.support.night_facts import OUTDATED, SETTINGS, UNREAD, make_batches, make_counts, make_facts

SOURCE = DataSource("alerts", NOW)
NO_ALERTS = Result(Alerts((), SOURCE))
SHORT = {"night": Result(make_night(*make_players(68), *make_rejected_players(90)))}
NEXT_RUN = NOW + timedelta(hours=5, minutes=15)


def make_alerts(*events: tuple[EventType, str]) -> Result[Alerts]:
    fields: dict[str, Any] = {
        "cause": "writes",
        "game_date": NIGHT,
        "severity": Health.CRITICAL,
        "rule": "x",
        "message": "m",
    }
    recorded = [
        Event("writes-2025-12-29", n, event, NOW, actor, **fields) for n, (event, actor) in enumerate(events, 1)
    ]
    return Result(Alerts((Alert("writes-2025-12-29", tuple(recorded)),), SOURCE))


def make_runs(at: Any = NEXT_RUN) -> Result[Any]:
    schedule = make_schedule()
    return Result(replace(schedule, jobs=tuple(replace(job, next_at=at) for job in schedule.jobs)))


def build(alerts: Any = NO_ALERTS, schedule: Any = None, **changes: Any) -> Incident:
    facts = make_facts(**changes)
    return build_incident(facts, judge_night(facts, SETTINGS), alerts, schedule or make_runs())


def values(incident: Incident) -> dict[str, str]:
    return {fact.label: f"{fact.value} {fact.detail}".strip() for fact in incident.facts}


def test_an_incident_has_its_cause_with_the_limit_and_all_facts():
    peak = replace(make_write_report(*make_rejection_burst()), peak_outstanding=22)
    batches = make_batches(make_batch(ended=STARTED + timedelta(seconds=158)))
    incident = build(make_alerts((EventType.OPENED, "watchdog")), **SHORT, writes=Result(peak), batches=batches)
    assert (incident.state, incident.title) == (IncidentState.CRITICAL, "90 of 158 players are missing")
    assert incident.cause == (
        "BigQuery rejected 90 of 90 writes: 22 DML statements outstanding, limit 22 (2 running + 20 queued)"
    )
    assert values(incident) == {
        "Since": "14:47 ET 10 h 57 min",
        "Owner": "No one",
        "Alert": "writes-2025-12-29 not acknowledged",
        "Next scheduled run": "07:00 ET in 5 h 15 min",
        "Re-run takes about 2 min": "Will make it",
    }


def test_an_acknowledged_alert_has_an_owner():
    incident = build(make_alerts((EventType.OPENED, "watchdog"), (EventType.ACKNOWLEDGED, "nora")), **SHORT)
    assert (values(incident)["Owner"], values(incident)["Alert"]) == ("nora", "writes-2025-12-29 acknowledged")


def test_a_night_in_trouble_without_an_alert_has_no_owner():
    owner = Fact("Owner", "No one", health=Health.WARNING)
    assert owner in build(**SHORT).facts
    assert Fact("Owner", "none needed") in build().facts


def test_a_rerun_that_ends_after_the_deadline_will_not_make_it():
    slow = make_batches(make_batch(ended=STARTED + timedelta(hours=10)))
    (estimate,) = build(**SHORT, batches=slow).facts[-1:]
    assert estimate == Fact("Re-run takes about 342 min", "Will not make it", health=Health.CRITICAL)


def test_before_tip_off_the_deadline_is_the_first_game():
    incident = build(**SHORT, now=TIP_OFF - timedelta(minutes=38))
    assert values(incident)["First tip-off"] == "19:00 ET in 38 min"


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"schedule": UNREAD}, "Next scheduled run"),
        ({"schedule": make_runs(None)}, "Next scheduled run"),
        ({"alerts": UNREAD}, "Owner"),
        ({"alerts": UNREAD}, "Alert"),
        ({"batches": UNREAD}, "Re-run"),
    ],
)
def test_what_is_not_known_is_unknown(changes, label):
    assert values(build(**SHORT, **changes))[label].startswith("unknown")


def test_a_night_in_order_is_verified_and_needs_no_estimate():
    incident = build()
    assert (incident.state, incident.cause) == (IncidentState.VERIFIED, "3,950 active rows · 9 of 9 checks passed")
    assert [fact.label for fact in incident.facts] == ["Batch", "Owner", "Alert", "Next scheduled run"]


def test_a_night_read_long_ago_is_never_verified():
    incident = build(night=replace(make_facts().night, outdated=OUTDATED))
    assert incident.state is IncidentState.UNKNOWN
    assert "98 s old" in incident.cause


def test_a_night_that_cannot_be_read_names_the_reason():
    incident = build(night=UNREAD)
    assert (incident.state, incident.title) == (
        IncidentState.UNKNOWN,
        "Coverage unknown: can't read the predictions table",
    )
    assert "x did not answer." in incident.cause


def test_a_night_before_its_run_is_neither_unknown_nor_green():
    night = Result(make_night(*make_unrequested_players(28), was_run=False))
    batches = Result(Batches((), ()))
    incident = build(night=night, batches=batches, now=TIP_OFF - timedelta(hours=9))
    assert (incident.state, incident.title) == (IncidentState.NOT_RUN_YET, "Not run yet: 28 eligible players")


def test_a_run_of_another_coordinator_is_shown_as_running():
    batches = make_batches(make_batch(state=BatchState.RUNNING, ended=None, record_source="logs"))
    night = Result(make_night(*make_players(68), *make_unrequested_players(90)))
    assert build(night=night, batches=batches, now=TIP_OFF - timedelta(hours=4)).state is IncidentState.RUNNING


def test_what_is_worse_than_the_players_leads_and_the_players_follow():
    collapsed = make_batch_record(
        requested=158, details=make_counts(), distinct_keys=3000, collapsed_rows=950, inserted=3000
    )
    incident = build(record=Result(collapsed))
    assert (incident.state, incident.title) == (
        IncidentState.CRITICAL,
        "batch_2025-12-29_1767037620: 950 of 3,950 staged rows share a key",
    )
    assert incident.cause == "All 158 eligible players have active predictions · Conservation"


def test_what_is_unknown_beside_complete_players_is_named_and_they_stay_the_headline():
    incident = build(record=UNREAD)
    assert (incident.state, incident.title) == (
        IncidentState.UNKNOWN,
        "All 158 eligible players have active predictions",
    )
    assert incident.cause == "Conservation unknown: x did not answer."
