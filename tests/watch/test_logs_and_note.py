"""The logs page and the handoff note: the handoff's searches and shape, from records only, honest where a record is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.actions.log_reader import read_log
from services.alerts.alert_log import read_alerts
from services.batches.reader import read_batches
from services.core.clock import night_window
from services.core.result import Problem, Reading
from services.nights.coverage import read_history
from services.nights.player_stages import read_night
from services.reports.handoff_note import Shift, write
from services.sandbox.common.fault_injection import Fault
from services.scaling.service_widths import read_widths
from services.telemetry.log_reader import CONSOLIDATION, PRESETS, read_lines
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
def test_each_search_of_the_handoff_finds_its_lines(cloud, preset, day, words):
    start, end = night_window(NIGHT.fromisoformat(day))
    lines = read_lines(cloud, next(p for p in PRESETS if p.name == preset).condition, start, end)
    assert any(words in line.message for line in lines.lines)


def test_both_spellings_of_a_consolidation_are_found_and_both_payloads(cloud):
    start, end = night_window(NIGHT.fromisoformat("2025-12-23"))
    told = [line.message for line in read_lines(cloud, CONSOLIDATION, start, end).lines]
    assert any("Consolidation SUCCESS" in message for message in told)
    assert any("Consolidation complete" in message for message in told)


def test_the_logs_page_folds_repeats_and_reads_the_severity_from_the_text(open_page):
    screen = open_page("logs")
    screen.app.segmented_control(key="search").set_value("Errors of the prediction services").run()
    assert "90 lines, 90 of them errors" in screen.verdict
    assert "90 repeated lines folded" in screen.words
    assert {row["severity"] for row in screen.table()} == {"ERROR"}


def test_no_line_is_told_as_unknown_and_never_as_good(open_page):
    screen = open_page("logs", date="2025-12-24")
    assert "proves nothing" in screen.verdict


def test_a_log_that_cannot_be_read_says_so_on_its_page(open_page, sandbox):
    sandbox.world.faults.set(Fault("logging", "status", status=403))
    assert "unknown since" in open_page("logs").words


@pytest.fixture
def shift(cloud):
    start, end = night_window(NIGHT)
    return Shift(
        NIGHT,
        start,
        cloud.now(),
        Reading(read_night(cloud, NIGHT)),
        Reading(read_batches(cloud, NIGHT)),
        Reading(read_widths(cloud)),
        Reading(read_history(cloud, NIGHT.replace(day=20), NIGHT)),
        Reading(read_alerts(cloud)),
        Reading(read_log(cloud, start, end)),
        Reading(read_schedule(cloud)),
    )


def test_the_note_has_the_handoffs_shape_and_figures(shift, cloud):
    note = write(shift, cloud.settings)
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
    assert write(shift, cloud.settings) == note


def test_a_record_that_cannot_be_read_stands_in_the_note_as_unknown(shift, cloud):
    gone = Reading(None, Problem("Cloud Run", shift.now, "Cloud Run did not answer."))
    note = write(replace(shift, widths=gone), cloud.settings)
    assert "**Unknown:** Cloud Run did not answer." in note
    assert "4 × 3 = 12" not in note


def test_the_note_is_on_a_page_and_can_be_downloaded(open_page):
    screen = open_page("handoff_note")
    assert "Written from 7 records" in screen.verdict
    assert "68 of 158" in screen.words
    assert [button.label for button in screen.app.get("download_button")] == ["Download the note"]


PANELS = {
    "overview": {"Log: Lost players", "Log: Errors of the prediction services"},
    "coverage": {"Log: Lost players"},
    "missing_players": {"Log: Lost players"},
    "dml_errors": {"Log: DML errors"},
    "staging_tables": {"Log: Consolidation"},
    "concurrency": {"Log: DML errors"},
    "runs": {"Log: Consolidation"},
}


def test_every_panel_leads_to_its_lines_and_three_viewers_of_all_pages_read_the_log_far_less_than_60_times(
    open_page, sandbox
):
    sandbox.world.meter.reset()
    for _viewer in range(3):
        for name, links in PANELS.items():
            screen = open_page(name)
            assert links <= {link.value.removeprefix(":small[").removesuffix("]") for link in screen.app.page_link}
        screen = open_page("logs")
        for preset in PRESETS:
            screen.app.segmented_control(key="search").set_value(preset.name).run()
            assert screen.verdict
    assert sandbox.world.meter.calls["logging.entries.list"] <= 15
