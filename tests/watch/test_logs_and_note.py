"""The logs page and the handoff note: the handoff's searches and shape, from records only, honest where a record is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.actions.log_reader import read_action_log
from services.alerts.alert_log import read_alerts
from services.batches.reader import read_batches
from services.core.clock import night_window
from services.core.result import Problem, Result
from services.nights.coverage import read_history
from services.nights.player_stages import read_night
from services.reports.handoff_note import HandoffInputs, render_markdown
from services.sandbox.common.fault_injection import Fault
from services.scaling.service_widths import read_service_capacities
from services.telemetry.log_reader import CONSOLIDATION_FILTER, PRESETS, read_lines
from services.telemetry.scheduler import read_schedule
from tests.factories import NIGHT
from tests.pages.conftest import open_page as open_page


@pytest.mark.parametrize(
    ("preset", "day", "words"),
    [
        ("Staging writes", "2025-12-23", "Staging write complete: 25 rows"),
        ("Consolidation", "2025-12-23", "Consolidation SUCCESS"),
        ("DML errors", "2025-12-29", "DML rate limit hit"),
        ("Errors of the prediction services", "2025-12-29", "Error writing to BigQuery for"),
        ("Lost players", "2025-12-28", "PERMANENT failure for"),
    ],
)
def test_each_log_preset_finds_its_lines(clients, preset, day, words):
    start, end = night_window(NIGHT.fromisoformat(day))
    lines = read_lines(clients, next(p for p in PRESETS if p.name == preset).condition, start, end)
    assert any(words in line.message for line in lines.lines)


def test_both_spellings_and_both_payloads_of_a_consolidation_are_found(clients):
    start, end = night_window(NIGHT.fromisoformat("2025-12-23"))
    messages = [line.message for line in read_lines(clients, CONSOLIDATION_FILTER, start, end).lines]
    assert any("Consolidation SUCCESS" in message for message in messages)
    assert any("Consolidation complete" in message for message in messages)


def test_the_logs_page_deduplicates_lines_and_parses_the_severity(open_page):
    screen = open_page("logs")
    screen.app.segmented_control(key="search").set_value("Errors of the prediction services").run()
    assert "90 lines, 90 of them errors" in screen.verdict
    assert "90 repeated lines folded" in screen.text
    assert {row["severity"] for row in screen.table()} == {"ERROR"}


def test_no_matching_line_is_unknown_and_never_ok(open_page):
    screen = open_page("logs", date="2025-12-24")
    assert "proves nothing" in screen.verdict


def test_an_unreadable_log_is_reported_on_its_page(open_page, sandbox):
    sandbox.state.faults.set(Fault("logging", "status", status=403))
    assert "unknown since" in open_page("logs").text


@pytest.fixture
def handoff_inputs(clients):
    start, end = night_window(NIGHT)
    return HandoffInputs(
        NIGHT,
        start,
        clients.now(),
        Result(read_night(clients, NIGHT)),
        Result(read_batches(clients, NIGHT)),
        Result(read_service_capacities(clients)),
        Result(read_history(clients, NIGHT.replace(day=20), NIGHT)),
        Result(read_alerts(clients)),
        Result(read_action_log(clients, start, end)),
        Result(read_schedule(clients)),
    )


def test_the_handoff_note_has_its_sections_and_figures(handoff_inputs, clients):
    note = render_markdown(handoff_inputs, clients.settings)
    for part in (
        "Key numbers",
        "What happened",
        "What was done, and by whom",
        "Current settings",
        "Data state",
        "Open alerts",
        "Next steps",
        "Quick commands",
    ):
        assert f"## {part}" in note
    assert "**68 of 158** eligible players are active (43.0 %); 352 are in context." in note
    assert "90 missing: generated but rejected on write." in note
    assert "| 2025-12-29 | 11 | 352 | 158 | 68 | 43.0 % (critical) |" in note
    assert "| prediction-worker | 4 × 3 = 12 (emergency) | prediction-worker-00011-zw5" in note
    assert "same-day-predictions runs next at 30 Dec 11:30 ET." in note
    assert render_markdown(handoff_inputs, clients.settings) == note


def test_an_unavailable_source_is_unknown_in_the_note(handoff_inputs, clients):
    unavailable = Result(None, Problem("Cloud Run", handoff_inputs.now, "Cloud Run did not answer."))
    note = render_markdown(replace(handoff_inputs, widths=unavailable), clients.settings)
    assert "**Unknown:** Cloud Run did not answer." in note
    assert "4 × 3 = 12" not in note


def test_the_handoff_note_is_shown_and_can_be_downloaded(open_page):
    screen = open_page("handoff_note")
    assert "Written from 7 records" in screen.verdict
    assert "68 of 158" in screen.text
    assert [button.label for button in screen.app.get("download_button")] == ["Download the note"]


LOG_LINKS_BY_PAGE = {
    "overview": {"Log: Lost players", "Log: Errors of the prediction services"},
    "coverage": {"Log: Lost players"},
    "missing_players": {"Log: Lost players"},
    "dml_errors": {"Log: DML errors"},
    "staging_tables": {"Log: Consolidation"},
    "concurrency": {"Log: DML errors"},
    "runs": {"Log: Consolidation"},
}


def test_every_panel_links_to_its_logs_and_three_viewers_stay_within_the_log_quota(open_page, sandbox):
    sandbox.state.meter.reset()
    for _visit in range(3):
        for name, links in LOG_LINKS_BY_PAGE.items():
            screen = open_page(name)
            assert links <= {link.value.removeprefix(":small[").removesuffix("]") for link in screen.app.page_link}
        screen = open_page("logs")
        for preset in PRESETS:
            screen.app.segmented_control(key="search").set_value(preset.name).run()
            assert screen.verdict
    assert sandbox.state.meter.calls["logging.entries.list"] <= 15
