"""A batch of the customer's coordinator, by its log: in progress until its log says that it has ended."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from services.batches.reader import RunSummary, announced_without_rows, batch_from_logs
from services.batches.state import BatchState
from services.telemetry.log_reader import LogLine

GAME_DATE = date(2025, 12, 29)
STARTED = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
ROW: RunSummary = {
    "batch_id": "batch_2025-12-29_1767037620",
    "started_at": STARTED,
    "ended_at": STARTED + timedelta(minutes=2),
    "requested": 60,
    "generated": 60,
}
NOW = STARTED + timedelta(minutes=3)


def make_line(message, time=NOW):
    return LogLine(time, "prediction-coordinator", "r", "INFO", message, "i")


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ((), BatchState.RUNNING),
        (
            ("Batch batch_2025-12-29_1767037620 complete! 158/158 players, status=success",),
            BatchState.UNVERIFIED_SUCCESS,
        ),
        (
            ("Batch batch_2025-12-29_1767037620 complete! Triggering consolidation...",),
            BatchState.CONSOLIDATING,
        ),
        (
            ("Consolidation SUCCESS: 3950 rows merged from 158 staging tables, cleaned=158",),
            BatchState.UNVERIFIED_SUCCESS,
        ),
        (("✅ Consolidation complete: 3950 rows",), BatchState.UNVERIFIED_SUCCESS),
        (("Consolidation FAILED: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("❌ Consolidation failed: no rows",), BatchState.CONSOLIDATION_FAILED),
        (("Consolidation EXCEPTION: timeout",), BatchState.CONSOLIDATION_FAILED),
        (("MERGE returned 0 rows for batch=batch_2025-12-29_1767037620!",), BatchState.CONSOLIDATION_FAILED),
        (("Batch batch_2025-12-29_1767037620 STALLED at 102/104 (98.1%)",), BatchState.STALLED),
    ],
)
def test_the_last_log_messages_decide_the_batch_state_in_both_spellings(messages, state):
    assert batch_from_logs(ROW, GAME_DATE, [make_line(message) for message in messages], NOW).state is state


def test_a_batch_without_a_final_message_ends_after_ten_minutes_of_silence():
    later = ROW["ended_at"] + timedelta(minutes=11)
    assert batch_from_logs(ROW, GAME_DATE, (), later).state is BatchState.UNVERIFIED_SUCCESS


def test_the_final_message_of_an_earlier_batch_is_ignored():
    earlier = make_line("Consolidation SUCCESS: 3950 rows merged from 158 staging tables", STARTED - timedelta(hours=3))
    assert batch_from_logs(ROW, GAME_DATE, [earlier], NOW).state is BatchState.RUNNING


def test_a_started_batch_without_rows_is_listed_with_its_published_requests():
    start_line = make_line(
        f"Starting prediction batch for {GAME_DATE} (correlation_id=1a2b3c4d, mode=multi_line)", STARTED
    )
    published_line = make_line("Published 158/158 prediction requests [batch=batch_2025-12-29_1767037620]", STARTED)
    [requested] = announced_without_rows([start_line, published_line], GAME_DATE, (), NOW)
    assert (requested.batch_id, requested.requested, requested.generated) == ("batch_2025-12-29_1767037620", 158, 0)
    assert requested.state is BatchState.REQUESTED
    [blocked] = announced_without_rows([start_line], GAME_DATE, (), STARTED + timedelta(minutes=11))
    assert (blocked.state, blocked.requested) == (BatchState.STALLED, None)
    assert "no request was published" in blocked.status_text


def test_a_batch_with_rows_or_a_ledger_record_is_not_listed_twice():
    start_line = make_line(f"Starting prediction batch for {GAME_DATE} (batch=b, by=scheduler)", STARTED)
    batch = batch_from_logs(ROW, GAME_DATE, (), NOW)
    assert announced_without_rows([start_line], GAME_DATE, [batch], NOW) == ()
    assert (
        announced_without_rows([make_line("Starting prediction batch for 2025-12-28 (x)", STARTED)], GAME_DATE, (), NOW)
        == ()
    )
