"""Entries of both payload kinds as lines, and the filters that find them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.sandbox.scenarios import log_and_job_history
from services.sandbox.stand_ins import log_filter
from services.telemetry.log_phrases import ERRORS_FILTER, NIGHT_FILTER, message_contains
from services.telemetry.log_reader import PRESETS, deduplicate, parse_entry
from tests.support.monitoring_policies import make_entry

AT = datetime(2025, 12, 29, 19, 47, 51, tzinfo=UTC)


def parse_payload(payload, severity=None):
    return make_line(payload, severity)


def make_line(payload, severity=None, stream="stderr", at=AT):
    log_name = f"projects/p/logs/run.googleapis.com%2F{stream}"
    return parse_entry(
        SimpleNamespace(
            payload=payload, severity=severity, timestamp=at, insert_id="i", resource=None, log_name=log_name
        )
    )


def test_a_text_line_and_its_json_entry_are_read_alike():
    text = parse_payload("2025-12-29 19:47:51 - predictions.worker.worker - ERROR - STAGING WRITE FAILED for x")
    structured = parse_payload(
        {"message": "STAGING WRITE FAILED for x", "logger": "predictions.worker.worker"}, "ERROR"
    )
    assert text == structured
    assert (text.severity, text.message) == ("ERROR", "STAGING WRITE FAILED for x")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"event": "dml_limit_hit"}, "dml_limit_hit"),
        ({"message": "2025-12-29 19:47:51 - w - WARNING - as text in JSON"}, "as text in JSON"),
        ({"rows": 3}, "{'rows': 3}"),
        (None, ""),
    ],
)
def test_a_message_is_taken_from_where_it_stands(payload, message):
    assert parse_payload(payload).message == message


@pytest.mark.parametrize(
    "payload",
    [
        {"textPayload": "2025-12-29 19:47:51 - w - INFO - Staging write 1"},
        {"jsonPayload": {"message": "STAGING WRITE complete"}},
        {"jsonPayload": {"event": "staging write"}},
    ],
)
def test_a_phrase_is_found_in_each_message_field_in_any_case(payload):
    assert log_filter.parse(message_contains("nothing", "Staging write"))(payload)


@pytest.mark.parametrize(
    "fields",
    [
        {"jsonPayload": {"message": "calm", "stack_trace": "Staging write"}},
        {"sourceLocation": {"function": "Staging write"}},
        {"labels": {"python_logger": "Staging write"}},
    ],
)
def test_a_phrase_is_not_found_in_other_fields(fields):
    assert not log_filter.parse(message_contains("Staging write"))({"jsonPayload": {"message": "calm"}, **fields})


def test_the_command_of_a_search_shows_both_kinds_of_payload_and_can_be_pasted():
    names = {"worker_service": "prediction-worker", "coordinator_service": "prediction-coordinator"}
    settings = SimpleNamespace(project="p-example", **names)
    clients: Any = SimpleNamespace(settings=settings)
    for preset in PRESETS:
        command = preset.command(clients, date(2025, 12, 29))
        assert 'timestamp>="2025-12-29T11:00:00.000000Z" AND timestamp<"2025-12-30T11:00:00.000000Z"' in command
        assert command.count("'") == 4
        assert "table(timestamp,severity,textPayload,jsonPayload.message)" in command
        log_filter.parse(command.split("'")[1])


def test_the_nights_filter_fits_what_logging_accepts():
    assert len(NIGHT_FILTER) < log_filter.MAX_FILTER_CHARS / 2


def test_a_text_line_is_an_error_by_its_words_a_json_line_by_its_severity_alone():
    is_error = log_filter.parse(ERRORS_FILTER)
    assert is_error(make_entry(log_and_job_history.WORKER, "Error writing to BigQuery"))
    assert is_error(log_and_job_history.json_entry(log_and_job_history.WORKER, AT, "ERROR", "no words"))
    assert not is_error(log_and_job_history.json_entry("prediction-watchdog", AT, "INFO", "opened: critical writes"))


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("❌ Consolidation failed: Invalid MERGE query: 400 x", "ERROR"),
        ("Consolidation failed (non-fatal): 500 x", "ERROR"),
        ("2025-12-30 05:36:41,412 - coordinator - ERROR - ❌ Consolidation failed: 400 x", "ERROR"),
        ("Staging write failed: Invalid request writing to staging: 400 x", "ERROR"),
        ("Traceback (most recent call last):", "ERROR"),
        ("⚠️  WARNING: No staging tables found for batch=b", "WARNING"),
        ("✅ Consolidation complete: 140 rows merged from 28 staging tables", "DEFAULT"),
        ("Location: us-west2", "DEFAULT"),
    ],
)
def test_a_line_without_severity_has_that_of_its_prefix_its_mark_or_its_words(text, severity):
    assert make_line(text).severity == severity
    assert make_line(text, "INFO").severity == "INFO"
    is_error = log_filter.parse(ERRORS_FILTER)
    entry = {**make_entry(log_and_job_history.WORKER, "x"), "textPayload": text}
    assert is_error(entry) == (severity == "ERROR")


def test_a_line_on_both_streams_is_one_and_the_same_words_of_many_workers_are_many():
    failure = (
        "2025-12-29 19:47:51 - worker - ERROR - Error writing to BigQuery: 400 Too many DML statements outstanding"
    )
    many = [make_line(failure, at=AT + timedelta(milliseconds=n)) for n in range(90)]
    twins = [make_line(failure, stream="stdout", at=AT + timedelta(milliseconds=n)) for n in range(90)]
    ordered = sorted([*many, *twins], key=lambda line: line.at)
    assert [line.repeats for line in deduplicate(ordered)] == [90]


def test_a_printed_line_and_the_logged_one_beside_it_are_one_also_over_the_end_of_a_second():
    at = AT.replace(microsecond=999_000)
    printed = make_line("❌ Consolidation FAILED: 400 x", stream="stdout", at=at)
    text = "2025-12-31 12:00:00 - coordinator - ERROR - ❌ Consolidation failed: 400 x"
    logged = make_line(text, at=at + timedelta(milliseconds=4))
    (line,) = deduplicate([printed, logged])
    assert (line.severity, line.repeats) == ("ERROR", 1)
    later = make_line(text, at=at + timedelta(seconds=2))
    assert len(deduplicate([printed, logged, later])) == 2
