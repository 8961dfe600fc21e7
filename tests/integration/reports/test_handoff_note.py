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
from services.judgement.facts import NightFacts, nights_before
from services.nights.coverage import read_history
from services.nights.night_writes import read_night_writes
from services.nights.player_stages import read_night
from services.reports.handoff_note import HandoffInputs, render_markdown
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
