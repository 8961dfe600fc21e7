"""A batch of the customer's coordinator, by its log: under way until it says that it is over, and never taken for calm."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.batches.reader import announced, reported_batch
from services.batches.state import BatchState
from services.telemetry.log_reader import LogLine

DAY = date(2025, 12, 29)
BEGUN = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
ROW = {
    "batch_id": "batch_2025-12-29_1767037620",
    "started_at": BEGUN,
    "ended_at": BEGUN + timedelta(minutes=2),
    "requested": 60,
    "generated": 60,
}
SOON = BEGUN + timedelta(minutes=3)


def line(message, at=SOON):
    return LogLine(at, "prediction-coordinator", "r", "INFO", message, "i")


@pytest.mark.parametrize(
    ("says", "state"),
    [
        ((), BatchState.RUNNING),
        (("Batch batch_2025-12-29_1767037620 complete! 158/158 players, status=success",), BatchState.REPORTED_SUCCESS),
        (
            ("Batch batch_2025-12-29_1767037620 complete! Triggering consolidation...",),
            BatchState.CONSOLIDATING,
        ),
        (
            ("Consolidation SUCCESS: 3950 rows merged from 158 staging tables, cleaned=158",),
            BatchState.REPORTED_SUCCESS,
        ),
        (("✅ Consolidation complete: 3950 rows",), BatchState.REPORTED_SUCCESS),
        (("Consolidation FAILED: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("❌ Consolidation failed: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("Consolidation EXCEPTION: timeout",), BatchState.CONSOLIDATION_FAILED),
        (("MERGE returned 0 rows for batch=batch_2025-12-29_1767037620!",), BatchState.CONSOLIDATION_FAILED),
        (("Batch batch_2025-12-29_1767037620 STALLED at 102/104 (98.1%)",), BatchState.STALLED),
    ],
)
def test_a_batch_is_what_its_last_words_say_in_both_spellings(says, state):
    assert reported_batch(ROW, DAY, [line(words) for words in says], SOON).state is state


def test_a_batch_without_a_last_word_is_over_when_nothing_has_moved_for_ten_minutes():
    later = ROW["ended_at"] + timedelta(minutes=11)
    assert reported_batch(ROW, DAY, (), later).state is BatchState.REPORTED_SUCCESS


def test_what_an_earlier_batch_said_of_its_end_is_not_this_ones():
    earlier = line("Consolidation SUCCESS: 3950 rows merged from 158 staging tables", BEGUN - timedelta(hours=3))
    assert reported_batch(ROW, DAY, [earlier], SOON).state is BatchState.RUNNING


def test_a_batch_that_was_begun_and_left_no_row_is_told_with_what_was_published():
    begun = line(f"Starting prediction batch for {DAY} (correlation_id=1a2b3c4d, mode=multi_line)", BEGUN)
    sent = line("Published 158/158 prediction requests [batch=batch_2025-12-29_1767037620]", BEGUN)
    [unheard] = announced([begun, sent], DAY, (), SOON)
    assert (unheard.batch_id, unheard.requested, unheard.generated) == ("batch_2025-12-29_1767037620", 158, 0)
    assert unheard.state is BatchState.REQUESTED
    [blocked] = announced([begun], DAY, (), BEGUN + timedelta(minutes=11))
    assert (blocked.state, blocked.requested) == (BatchState.STALLED, None)
    assert "no request was published" in blocked.status_text


def test_a_batch_that_has_rows_or_stands_in_the_ledger_is_not_told_twice():
    begun = line(f"Starting prediction batch for {DAY} (batch=b, by=scheduler)", BEGUN)
    known = reported_batch(ROW, DAY, (), SOON)
    assert announced([begun], DAY, [known], SOON) == ()
    assert announced([line("Starting prediction batch for 2025-12-28 (x)", BEGUN)], DAY, (), SOON) == ()
