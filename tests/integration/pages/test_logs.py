"""The logs page, and the links of other pages to it."""

from __future__ import annotations

from services.sandbox.common.fault_injection import Fault
from services.telemetry import log_reader
from services.telemetry.log_reader import PRESETS


def test_the_logs_page_deduplicates_lines_and_parses_the_severity(open_page):
    screen = open_page("logs")
    screen.app.segmented_control(key="search").set_value("Service errors").run()
    assert "90 errors" in screen.verdict
    assert "90 duplicates collapsed" in screen.text
    assert {row["severity"] for row in screen.table()} == {"ERROR"}


def test_no_matching_line_is_neutral_and_never_ok(open_page):
    screen = open_page("logs", date="2025-12-24")
    assert "No matching log lines" in screen.verdict
    assert ":green" not in screen.verdict


def test_lines_that_were_not_read_make_the_answer_unknown_and_never_ok(open_page, monkeypatch):
    monkeypatch.setattr(log_reader.read_lines, "__defaults__", (5, log_reader.SERVICE_FILTER))
    screen = open_page("logs", date="2025-12-23")
    screen.app.segmented_control(key="search").set_value("Staging writes").run()
    assert "truncated: later lines were not read" in screen.text
    assert ":green" not in screen.verdict


def test_an_unreadable_log_is_reported_on_its_page(open_page, sandbox):
    sandbox.state.faults.set(Fault("logging", "status", status=403))
    assert "unavailable since" in open_page("logs").text


LOG_LINKS_BY_PAGE = {
    "overview": {"Log: Failed players"},
    "coverage": {"Log: Failed players"},
    "missing_players": {"Log: Failed players"},
    "dml_errors": {"Log: DML errors"},
    "staging_tables": {"Log: Consolidation"},
    "worker_capacity": {"Log: DML errors"},
    "runs": {"Log: Consolidation"},
}


def test_every_panel_links_to_its_logs_and_three_viewers_stay_within_the_log_quota(open_page, sandbox):
    sandbox.state.meter.reset()
    for _visit in range(3):
        for name, links in LOG_LINKS_BY_PAGE.items():
            screen = open_page(name)
            assert links <= screen.links.keys()
        screen = open_page("logs")
        for preset in PRESETS:
            screen.app.segmented_control(key="search").set_value(preset.name).run()
            assert screen.verdict
    assert sandbox.state.meter.calls["logging.entries.list"] <= 15
