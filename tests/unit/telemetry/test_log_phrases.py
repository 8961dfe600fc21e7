"""The lines that every version of the customer's services writes: each failure is counted once, whatever the wording."""

from __future__ import annotations

from datetime import date

import pytest

from services.sandbox.scenarios import log_and_job_history
from services.sandbox.stand_ins import log_filter
from services.telemetry import log_phrases
from tests.support.monitoring_policies import make_entry

QUEUE_FULL = (
    "400 Resources exceeded during query execution: Too many DML statements outstanding against table"
    " p:nba_predictions.t, limit is 20."
)
CONCURRENT = "400 Could not serialize access to table p:d.t due to concurrent update"
QUOTA = (
    "403 Quota exceeded: Your table exceeded quota for total number of dml jobs writing to a table, pending + running"
)
# The lines of one failure each, and the player that they name.
WRITE_FAILURES = [
    ((f"Error writing to BigQuery: {QUEUE_FULL}",), None),
    ((f"Error writing to BigQuery: {CONCURRENT}",), None),
    ((f"Error writing to BigQuery for lebronjames: {QUEUE_FULL}",), "lebronjames"),
    ((f"Error writing to staging: {QUOTA}",), None),
    (
        (
            "Invalid request writing to staging: 400 Provided Schema does not match",
            "Staging write failed: Invalid request writing to staging: 400 Provided Schema does not match",
            "BigQuery write failed for lebronjames: error_type=StagingWriteError, records=25, duration=1.448s",
        ),
        "lebronjames",
    ),
    (
        (
            "Unexpected error writing to staging: Conflict: 409 Already Exists",
            "STAGING WRITE FAILED for lebronjames: Unexpected error writing to staging: 409 (batch=b, worker=w)"
            " - will trigger Pub/Sub retry",
            "Staging write failed for lebronjames on 2026-01-21 - returning 500 to trigger Pub/Sub retry (batch=b)",
        ),
        "lebronjames",
    ),
]


@pytest.mark.parametrize(("lines", "player"), WRITE_FAILURES)
def test_exactly_one_line_of_a_rejected_write_counts_and_each_is_found(lines, player):
    assert [log_phrases.is_rejected_write(line) for line in lines].count(True) == 1
    names = {log_phrases.rejected_player(line) or log_phrases.player_of_write(line) for line in lines} - {None}
    assert names == ({player} if player else set())
    searches = [log_phrases.DML_FILTER, log_phrases.FAILED_PLAYERS_FILTER, log_phrases.NIGHT_FILTER]
    names_of_services = {"worker": log_and_job_history.WORKER, "coordinator": log_and_job_history.COORDINATOR}
    counted = next(line for line in lines if log_phrases.is_rejected_write(line))
    for search in searches:
        assert log_filter.parse(search.format(**names_of_services))(make_entry(log_and_job_history.WORKER, counted))


@pytest.mark.parametrize(
    "line",
    [
        "Staging write complete: 25 rows to t in 1447.5ms (batch=b, worker=w)",
        "Successfully generated 25 predictions for lebronjames",
        "🚨 BigQuery DML rate limit hit - consider batch consolidation",
        "Loaded 25 predictions to staging table",
    ],
)
def test_another_line_is_no_rejected_write(line):
    assert not log_phrases.is_rejected_write(line)
    assert log_phrases.rejected_player(line) is log_phrases.player_of_write(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "PERMANENT failure for a1 on 2025-12-30 - acknowledging message (no retry). Reason: no_features",
        "No predictions generated for a1",
        "No features available for a1 on 2025-12-30",
        "Invalid features for a1 on 2025-12-30: ['x']",
        "Quality too low for a1 (61.2%) - skipping",
    ],
)
def test_a_line_names_the_player_who_was_not_generated(line):
    assert log_phrases.ungenerated_player(line) == "a1"


def test_a_run_begins_and_publishes_in_every_spelling():
    assert log_phrases.started_date("Starting prediction batch for 2025-12-30 (correlation_id=1, parent=None)") == date(
        2025, 12, 30
    )
    assert log_phrases.started_date("Starting prediction batch for 2025-13-30") is None
    assert log_phrases.published_requests("Published 28/28 prediction requests") == 28
    assert log_phrases.published_requests("Published 158/158 prediction requests [batch=b]") == 158
    assert log_phrases.published_requests("PUBLISH_METRICS: Published 158 requests in 3.2s, 0 failed [batch=b]") == 158
    assert log_phrases.published_requests("Published 50/158 requests") is None


@pytest.mark.parametrize(
    ("line", "merged"),
    [
        ("Consolidation MERGE complete: 140 rows affected in 4876.3ms (batch=b)", True),
        ("✅ MERGE complete: 140 rows affected in 4876.3ms (batch=b)", True),
        ("✅ Consolidation complete: 140 rows merged from 28 staging tables", True),
        ("Consolidation SUCCESS: 3950 rows merged from 158 staging tables, cleaned=158", True),
        ("Invalid MERGE query: 400 Partitioning by expressions of type FLOAT64 is not allowed at [7:72]", False),
        ("❌ Consolidation failed: Invalid MERGE query: 400", False),
        ("Consolidation failed (non-fatal): 500", False),
        ("Consolidation EXCEPTION: timeout", False),
        ("⚠️  WARNING: MERGE returned 0 rows for batch=b!", False),
        ("Executing consolidation MERGE for batch=b with 28 staging tables", None),
        ("Post-consolidation validation PASSED: 0 duplicates", None),
        ("✅ Phase 5 completion published for batch: b", None),
    ],
)
def test_a_consolidation_ends_in_every_spelling(line, merged):
    assert log_phrases.ends_consolidation(line) is merged
