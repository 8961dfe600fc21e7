"""What the ledger has recorded is readable at once, recorded once, and never streamed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from google.api_core.exceptions import BadRequest

from services.batches.ledger import MAX_ROWS_PER_JOB, BatchRecord, Ledger, PlayerOutcome, StateAlreadyRecorded
from services.batches.reader import read_batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.gcp.retry import RetryPolicy
from services.sandbox.common.fault_injection import Fault
from tests.support.concurrency import run_concurrently

NIGHT = date(2025, 12, 29)
DETAILS = {"players": ["lebronjames", "stephencurry"]}


@pytest.fixture
def ledger(module_clients) -> Ledger:
    return Ledger(module_clients, RetryPolicy(retries=2, base_backoff_s=0.05))


@pytest.fixture
def record(request) -> BatchRecord:
    """The first state of a batch that only this test has."""
    number = abs(hash(request.node.name)) % 10**12
    return BatchRecord(
        f"batch_2025-12-29_1{number:012}",
        NIGHT,
        BatchState.REQUESTED,
        1,
        "holder-a",
        "test",
        eligible=2,
        details=DETAILS,
    )


def count_states(clients, record) -> int:
    sql = f"SELECT COUNT(*) AS n FROM prediction_on_call.batches WHERE batch_id = '{record.batch_id}'"
    return next(iter(clients.bigquery.query(sql).result())).n


def test_a_state_is_read_back_at_once_by_query_and_by_listing(ledger, module_clients, module_sandbox, record):
    module_sandbox.state.meter.reset()
    ledger.append_state(record)
    assert ledger.latest(record.batch_id, NIGHT) == record
    states = {batch.batch_id: batch.state for batch in read_batches(module_clients, NIGHT).batches}
    assert states[record.batch_id] is BatchState.REQUESTED
    assert not module_sandbox.state.meter.calls["bigquery.TableDataService.insertAll"], (
        "streamed rows are in no listing"
    )


def test_a_state_whose_answer_was_lost_is_recorded_once(ledger, module_clients, module_sandbox, record):
    module_sandbox.state.faults.set(Fault("bigquery", "drop_after", method="insertJob", times=1))
    ledger.append_state(record)
    assert count_states(module_clients, record) == 1


def test_of_two_instances_that_record_the_next_state_one_is_told_that_it_may_not_go_on(ledger, module_clients, record):
    def append(holder: str) -> str:
        try:
            ledger.append_state(replace(record, holder=holder))
        except StateAlreadyRecorded as error:
            return str(error)
        return ""

    refusals = run_concurrently(*[lambda holder=f"holder-{i}": append(holder) for i in range(4)])
    winner = ledger.latest(record.batch_id, NIGHT)
    assert winner is not None
    assert count_states(module_clients, record) == 1
    assert [f"{winner.holder} recorded “requested” first" in text for text in refusals].count(True) == 3
    assert refusals.count("") == 1


def test_a_state_that_cannot_be_recorded_is_an_error(ledger, module_sandbox, record):
    module_sandbox.state.faults.set(Fault("bigquery", "status", method="insertJob", status=403, message="no"))
    with pytest.raises(OnCallError, match="could not be written"):
        ledger.append_state(record)
    module_sandbox.state.faults.clear()
    assert ledger.latest(record.batch_id, NIGHT) is None


def test_a_state_whose_first_job_failed_is_recorded_by_the_next(ledger, module_clients, record):
    with pytest.raises(BadRequest):
        module_clients.bigquery.query(
            "SELECT nothing", job_id=f"on-call-state-{record.batch_id}-1-0", job_retry=None
        ).result()
    ledger.append_state(record)
    assert ledger.latest(record.batch_id, NIGHT) == record


def test_the_outcomes_of_a_large_batch_are_a_few_jobs_and_read_back_whole(ledger, module_sandbox, record):
    outcomes = [
        PlayerOutcome(f"player{i}", f"p_player{i}", "staged", message="ok – “it” is", produced_rows=25, staged_rows=i)
        for i in range(MAX_ROWS_PER_JOB + 1)
    ]
    module_sandbox.state.meter.reset()
    ledger.append_outcomes(record.batch_id, NIGHT, outcomes)
    assert module_sandbox.state.meter.calls["bigquery.JobService.insertJob"] == 2
    assert ledger.player_outcomes(record.batch_id, NIGHT) == {o.player_lookup: o for o in outcomes}


def test_outcomes_whose_answer_was_lost_are_recorded_once(ledger, module_clients, module_sandbox, record):
    module_sandbox.state.faults.set(Fault("bigquery", "drop_after", method="insertJob", times=1))
    ledger.append_outcomes(record.batch_id, NIGHT, [PlayerOutcome("lebronjames", "p_lebronjames", "no answer")])
    sql = f"SELECT COUNT(*) AS n FROM prediction_on_call.batch_players WHERE batch_id = '{record.batch_id}'"
    assert next(iter(module_clients.bigquery.query(sql).result())).n == 1


def test_the_newest_outcome_of_a_player_counts_even_when_it_is_that_of_before(ledger, record):
    failed = PlayerOutcome("lebronjames", "p_lebronjames", "no answer")
    for outcome in (failed, replace(failed, outcome="staged"), failed):
        ledger.append_outcomes(record.batch_id, NIGHT, [outcome])
    assert ledger.player_outcomes(record.batch_id, NIGHT)["lebronjames"] == failed
