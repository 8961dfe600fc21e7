"""The logs page, and the links of other pages to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.core.clock import to_rfc3339
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


def open_own(open_page, filter_text, **params):
    return open_page("logs", search="Own filter", own_filter=filter_text, **params)


def test_a_filter_of_ones_own_finds_lines_over_time_with_its_commands(open_page):
    screen = open_own(open_page, 'textPayload:"ERROR" -- of this night', log_of="Cloud Run services")
    assert "90 errors" in screen.verdict
    assert any('class="log-histogram"' in body and "90 errors" in body for body in screen.html_bodies)
    assert {row["severity"] for row in screen.table()} == {"ERROR"}
    assert [row["service"] for row in open_own(open_page, "", log_of="Cloud Functions").table()] == [
        "phase4-to-phase5-orchestrator"
    ] * 2


@pytest.mark.parametrize(
    ("filter_text", "sentence"),
    [
        ("severity>=ERROR) OR (severity>=INFO", "The parenthesis at line 1, column 16 closes nothing."),
        ("severity>=", "Unparseable filter"),
    ],
)
def test_a_filter_that_cannot_be_used_is_one_sentence_and_stays_in_its_field(open_page, filter_text, sentence):
    screen = open_own(open_page, filter_text)
    assert sentence in screen.text
    assert screen.app.text_area(key="own_filter").value == filter_text
    assert not screen.app.dataframe


def test_what_is_too_long_is_kept_and_counted_and_parts_are_added_to_what_is_typed(open_page):
    screen = open_own(open_page, "severity>=WARNING", log_time="last hour")
    screen.app.get_by_key("part kind").set_value("status ≥ 400").run()
    next(button for button in screen.app.button if button.label == "Add condition").click().run()
    assert screen.app.text_area(key="own_filter").value == "severity>=WARNING\nAND httpRequest.status>=400"
    screen.app.text_area(key="own_filter").set_value("x" * 30_000).run()
    assert "30,000 of at most 19,500 characters: remove 10,500." in screen.text
    assert len(screen.app.text_area(key="own_filter").value) == 30_000
    assert "own_filter" not in screen.app.query_params


def test_a_tail_shows_the_newest_lines_first_and_counts_against_the_reads_of_all_tails(open_page, sandbox):
    now = sandbox.state.clock.now()
    labels = {"service_name": "prediction-worker"}
    resource = {"type": "cloud_run_revision", "labels": labels}
    for seconds in (30, 20):
        at = to_rfc3339(now - timedelta(seconds=seconds))
        sandbox.state.logs.add([{"timestamp": at, "textPayload": f"tail {seconds}", "resource": resource}])
    screen = open_own(open_page, 'textPayload:"tail"', log_tail="true")
    assert [row["message"] for row in screen.table()] == ["tail 20", "tail 30"]
    assert "together read at most 6 times a minute" in screen.text
