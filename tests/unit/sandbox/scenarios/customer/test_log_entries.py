"""The customer's log lines keep what makes them hard to read: no batch, no player, no level, one failure in several lines."""

from __future__ import annotations

import re

from services.sandbox.scenarios.customer.log_entries import log_entries
from services.sandbox.scenarios.customer.nights import build_nights

ENTRIES = {run.batch_id: list(log_entries(run)) for night in build_nights() for run in night.runs}
PREFIX = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - \S+ - [A-Z]+ - ")


def texts(batch_id: str, phrase: str) -> list[str]:
    return [entry["textPayload"] for entry in ENTRIES[batch_id] if phrase in entry.get("textPayload", "")]


def batch_of(prefix: str, number: int = 0) -> str:
    return [batch_id for batch_id in ENTRIES if batch_id.startswith(prefix)][number]


def test_a_refused_direct_write_is_one_line_without_player_and_two_entries_of_the_client_s_footer():
    batch_id = batch_of("batch_2025-12-29")
    errors = texts(batch_id, "Error writing to BigQuery: 400 Resources exceeded")
    lookups = {player.lookup for night in build_nights() for run in night.runs for player in run.players}
    assert len(errors) == 90
    assert not [error for error in errors if lookups & set(re.findall(r"[a-z]+", error))]
    assert len(texts(batch_id, "Location: us-west2")) == len(texts(batch_id, "Job ID: ")) == 90
    assert not [text for text in texts(batch_id, "Job ID: ") if PREFIX.match(text)]


def test_every_generated_player_counts_as_success_in_the_log():
    batch_id = batch_of("batch_2025-12-29")
    assert len(texts(batch_id, "Successfully generated 25 predictions for")) == 158
    assert texts(batch_id, "Published 158/158 prediction requests")
    assert len(texts(batch_id, "Batch complete! 158/158 players")) == 1


def test_only_the_summary_of_a_direct_run_names_the_batch():
    batch_id = batch_of("batch_2025-12-29")
    (line,) = texts(batch_id, batch_id)
    assert "✅ Published unified batch summary for" in line


def test_a_refused_staging_write_has_two_error_lines_and_one_that_names_the_player():
    batch_id = batch_of("batch_2025-12-31")
    assert len(texts(batch_id, "ERROR - Unexpected error writing to staging: Forbidden: 403")) == 4
    assert len(texts(batch_id, "ERROR - Staging write failed: Unexpected error writing to staging")) == 4
    assert len(texts(batch_id, "WARNING - BigQuery write failed for ")) == 4


def test_the_failed_consolidation_is_four_lines_of_which_two_have_no_prefix():
    batch_id = batch_of("batch_2025-12-31")
    lines = texts(batch_id, "Invalid MERGE query: 400 Partitioning by expressions of type FLOAT64")
    assert [bool(PREFIX.match(line)) for line in lines] == [False, True, False, True]
    assert [line for line in lines if line.startswith("❌ Consolidation FAILED: ")]
    assert [line for line in lines if "ERROR - ❌ Consolidation failed: " in line]


def test_the_collapse_is_a_merge_of_140_rows_from_28_tables_of_25():
    batch_id = "batch_2025-12-30_1767072990"
    (complete,) = texts(batch_id, "Consolidation complete")
    assert complete.endswith("✅ Consolidation complete: 140 rows merged from 28 staging tables")
    writes = texts(batch_id, "batch_staging_writer - INFO - Staging write complete: 25 rows to")
    assert len(writes) == 28
    assert all(re.search(r" in \d{4}\.\dms \(batch=batch_2025-12-30_1767072990, worker=", write) for write in writes)
    assert len(texts(batch_id, "Found 28 staging tables for batch=")) == 2


def test_a_run_whose_logger_is_swallowed_left_only_prints_of_its_coordinator():
    batch_id = batch_of("regen_")
    lines = [
        entry["textPayload"]
        for entry in ENTRIES[batch_id]
        if entry["resource"]["labels"]["service_name"] == "prediction-coordinator"
    ]
    assert not [line for line in lines if PREFIX.match(line)]
    assert "✅ Consolidation SUCCESS: 200 rows merged from 40 staging tables, cleaned=40" in lines


def test_no_text_line_has_a_severity_and_no_entry_is_there_twice():
    entries = [entry for batch in ENTRIES.values() for entry in batch]
    assert {entry["severity"] for entry in entries if "textPayload" in entry} == {"DEFAULT"}
    assert len({(entry["insertId"], entry["timestamp"]) for entry in entries}) == len(entries)
