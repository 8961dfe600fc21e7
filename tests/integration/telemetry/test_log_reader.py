"""Log lines of a game date against the sandbox."""

from __future__ import annotations

import pytest

from services.core.clock import night_window
from services.telemetry.log_phrases import CONSOLIDATION_FILTER
from services.telemetry.log_reader import PRESETS, read_lines
from tests.support.factories import NIGHT


@pytest.mark.parametrize(
    ("preset", "day", "expected_text"),
    [
        ("Staging writes", "2025-12-23", "Staging write complete: 25 rows"),
        ("Consolidation", "2025-12-23", "Consolidation SUCCESS"),
        ("DML errors", "2025-12-29", "DML rate limit hit"),
        ("Service errors", "2025-12-29", "Error writing to BigQuery for"),
        ("Failed players", "2025-12-28", "PERMANENT failure for"),
    ],
)
def test_each_log_preset_finds_its_lines(clients, preset, day, expected_text):
    start, end = night_window(NIGHT.fromisoformat(day))
    lines = read_lines(clients, next(p for p in PRESETS if p.name == preset).condition, start, end)
    assert any(expected_text in line.message for line in lines.lines)


def test_both_spellings_and_both_payloads_of_a_consolidation_are_found(clients):
    start, end = night_window(NIGHT.fromisoformat("2025-12-23"))
    messages = [line.message for line in read_lines(clients, CONSOLIDATION_FILTER, start, end).lines]
    assert any("Consolidation SUCCESS" in message for message in messages)
    assert any("Consolidation complete" in message for message in messages)
