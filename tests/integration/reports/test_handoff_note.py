"""The handoff note: its sections and figures from records only, and unknown where a source is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from services.actions.log_reader import read_action_log
from services.alerts.alert_log import read_alerts
from services.batches.newest_record import read_newest_record
from services.batches.reader import read_batches
from services.core.clock import night_window
from services.core.result import Problem, Result
from services.core.tables import PREDICTIONS_TABLE
from services.judgement.facts import NightFacts, nights_before
from services.nights.coverage import read_history
from services.nights.night_writes import read_night_writes
from services.nights.player_stages import read_night
from services.reports.handoff_note import HandoffInputs, render_markdown
from services.reports.incident_file import render_incident
from services.reports.incident_times import find_times
from services.scaling.capacity import read_service_capacities
from services.scaling.deploys import read_deploy_history
from services.telemetry.scheduler import read_schedule
from tests.integration.pages.conftest import open_page as open_page
from tests.support.factories import NIGHT


@pytest.fixture
def handoff_inputs(clients):
    start, end = night_window(NIGHT)
    facts = NightFacts(
        NIGHT,
        clients.now(),
        Result(read_night(clients, NIGHT)),
        Result(read_batches(clients, NIGHT)),
        Result(read_night_writes(clients, NIGHT)),
        Result(read_history(clients, *nights_before(NIGHT))),
        Result(read_newest_record(clients, NIGHT)),
    )
    return HandoffInputs(
        facts,
        start,
        Result(read_service_capacities(clients)),
        Result(read_deploy_history(clients)),
        Result(read_history(clients, NIGHT.replace(day=20), NIGHT)),
        Result(read_alerts(clients)),
        Result(read_action_log(clients, start, end)),
        Result(read_schedule(clients)),
        Result(read_action_log(clients, start, end)),
    )


def test_the_handoff_note_has_its_sections_and_figures(handoff_inputs, clients):
    note = render_markdown(handoff_inputs, clients.settings)
    for part in (
        "Cause and loss",
        "Open alerts",
        "Next steps",
        "Notes",
        "Current settings",
        "Coverage by date",
        "Commands",
    ):
        assert f"## {part}" in note
    assert "\n\n**critical**: 90 of 158 players are missing: BigQuery rejected the write" in note
    assert "**68 of 158** eligible players are active (43.0%); 352 are in context" in note
    assert "**90 players missing**: write rejected" in note
    assert "| 2025-12-29 | 11 | 352 | 158 | 68 | 43.0% (critical) |" in note
    assert "| prediction-worker | 4 × 3 = 12 (emergency) | prediction-worker-00011-zw5" in note
    assert "Next run of same-day-predictions: 30 Dec 11:30 ET" in note
    assert render_markdown(handoff_inputs, clients.settings) == note


def test_an_unavailable_source_is_unknown_in_the_note(handoff_inputs, clients):
    unavailable: Result[Any] = Result(None, Problem("Cloud Run", handoff_inputs.facts.now, "Cloud Run did not answer."))
    note = render_markdown(replace(handoff_inputs, capacities=unavailable), clients.settings)
    assert "**Unknown:** Cloud Run did not answer." in note
    assert "4 × 3 = 12" not in note


def test_events_that_the_note_has_no_room_for_are_counted(handoff_inputs, clients):
    batches = handoff_inputs.facts.batches.value
    many = Result(replace(batches, batches=batches.batches * 40))
    facts = replace(handoff_inputs.facts, batches=many)
    note = render_markdown(replace(handoff_inputs, facts=facts), clients.settings)
    assert re.search(r"^- \d+ earlier events are not in this note · ", note, re.MULTILINE)
    assert "not in this note" not in render_markdown(handoff_inputs, clients.settings)


def test_the_figures_of_the_incident_are_those_of_the_raw_rows(handoff_inputs, clients):
    """Recomputed from jobs and tables as they are, with none of the code that the file is written by."""
    jobs = clients.bigquery.list_jobs(all_users=True, min_creation_time=handoff_inputs.start)
    first_rejected = min(job.created for job in jobs if job.error_result and job.job_type == "query")
    sql = f"""
    WITH tip AS (SELECT MIN(game_start_time) AS begins FROM nba_raw.odds_api_player_points_props WHERE game_date = '2025-12-29'),
    players AS (
      SELECT player_lookup FROM nba_analytics.upcoming_player_game_context
      WHERE game_date = '2025-12-29' AND avg_minutes_per_game_last_7 >= 15 AND is_production_ready
        AND UPPER(COALESCE(player_status, '')) NOT IN ('OUT', 'DOUBTFUL')
      GROUP BY player_lookup
    ),
    made AS (
      SELECT player_lookup, MIN(created_at) AS made_at FROM {PREDICTIONS_TABLE}
      WHERE game_date = '2025-12-29' AND is_active GROUP BY player_lookup
    )
    SELECT players.player_lookup, made.made_at, tip.begins AS tip_at
    FROM players CROSS JOIN tip LEFT JOIN made ON made.player_lookup = players.player_lookup
    """
    rows = list(clients.bigquery.query(sql).result())
    gaps = [min(row["made_at"] or row["tip_at"], row["tip_at"]) - first_rejected for row in rows]
    missing = [gap.total_seconds() / 60 for gap in gaps if gap.total_seconds() > 0]
    times = find_times(handoff_inputs)
    assert len(rows) == 158
    assert times.began.at == first_rejected
    assert (times.missing.players, times.missing.minutes) == (len(missing), round(sum(missing)))
    assert len(missing) >= 90
    note = render_incident(handoff_inputs, clients.settings)
    assert f"missing before the first tip-off: **{round(sum(missing)):,}**, of {len(missing)} players" in note
