"""Entries of both payload kinds as lines, and the filters that find them."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from services.sandbox.scenarios import log_and_job_history
from services.sandbox.stand_ins import log_filter
from services.telemetry.log_reader import ERRORS_FILTER, NIGHT_FILTER, PRESETS, message_contains, parse_entry
from tests.support.monitoring_policies import make_entry

AT = datetime(2025, 12, 29, 19, 47, 51, tzinfo=UTC)


def parse_payload(payload, severity=None):
    return parse_entry(SimpleNamespace(payload=payload, severity=severity, timestamp=AT, insert_id="i", resource=None))


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
    settings = SimpleNamespace(worker_service="prediction-worker", coordinator_service="prediction-coordinator")
    clients: Any = SimpleNamespace(settings=settings)
    for preset in PRESETS:
        command = preset.command(clients)
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
