"""A stop is requested once, before the last player, and the run reads it within half a second, in whatever process it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from services.batches.ledger import BatchRecord
from services.batches.state import BatchState
from services.pipeline.coordinator import stop
from services.pipeline.coordinator.stop import POLL_INTERVAL_S, StopSignal, is_stop_requested, request_stop
from tests.support.memory_rows import NIGHT

BATCH = f"batch_{NIGHT}_1767078000000"
ENTRY = BatchRecord(BATCH, NIGHT, BatchState.RUNNING, 4, "coordinator-a", details={"activation": 3})
JOB_ID = f"on-call-stop-{BATCH}-3"


@dataclass
class Jobs:
    """The job ids that are taken, and how often somebody looked; `failing`: BigQuery does not answer."""

    taken: dict[str, Mapping[str, str]] = field(default_factory=dict)
    looked: int = 0
    failing: bool = False

    def claim_job_id(self, job_id: str, labels: Mapping[str, str]) -> bool:
        return self.taken.setdefault(job_id, labels) is labels

    def get_claim(self, job_id: str) -> Mapping[str, str] | None:
        self.looked += 1
        if self.failing:
            raise ConnectionError("down")
        return self.taken.get(job_id)

    def wait_for_job(self, job_id: str) -> None:
        raise AssertionError("nobody waits")


@dataclass
class Watch:
    """The time of the process."""

    at: float = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def watch(monkeypatch):
    watch = Watch()
    monkeypatch.setattr(stop, "time", watch)
    return watch


def test_a_stop_is_requested_under_one_id_and_asking_again_changes_nothing():
    jobs = Jobs()
    assert not is_stop_requested(jobs, ENTRY)
    assert request_stop(jobs, ENTRY)
    assert request_stop(jobs, ENTRY)
    assert is_stop_requested(jobs, ENTRY)
    assert jobs.taken == {JOB_ID: {"by": "request"}}


def test_a_resumed_batch_is_not_stopped_by_the_request_to_stop_it_before():
    jobs = Jobs()
    request_stop(jobs, ENTRY)
    resumed = replace(ENTRY, details={"activation": 5})
    assert not is_stop_requested(jobs, resumed)
    assert not StopSignal(jobs, resumed).close()
    assert not request_stop(jobs, resumed)


def test_after_the_last_player_a_stop_comes_too_late_and_the_run_was_not_stopped(watch):
    jobs = Jobs()
    signal = StopSignal(jobs, ENTRY)
    assert not signal()
    assert not signal.close()
    assert jobs.taken == {JOB_ID: {"by": "dispatch"}}
    assert not request_stop(jobs, ENTRY)
    assert not is_stop_requested(jobs, ENTRY)
    assert not StopSignal(jobs, ENTRY).close(), "another process of the batch closes it again"


def test_the_signal_is_at_most_half_a_second_old_and_looks_no_more_often(watch):
    jobs = Jobs()
    signal = StopSignal(jobs, ENTRY)
    assert (signal(), jobs.looked) == (False, 1)
    request_stop(jobs, ENTRY)
    watch.at += POLL_INTERVAL_S - 0.01
    assert (signal(), jobs.looked) == (False, 1)
    watch.at += 0.01
    assert (signal(), jobs.looked) == (True, 2)
    watch.at += 100
    assert (signal(), signal.close(), jobs.looked) == (True, True, 2)
    assert jobs.taken == {JOB_ID: {"by": "request"}}


def test_the_signal_looks_again_an_interval_after_it_looked_last(watch):
    jobs = Jobs()
    signal = StopSignal(jobs, ENTRY)
    for looked in (1, 2, 3):
        assert (signal(), signal(), jobs.looked) == (False, False, looked)
        watch.at += POLL_INTERVAL_S


def test_a_stop_since_the_signal_looked_last_is_known_at_the_end(watch):
    jobs = Jobs()
    signal = StopSignal(jobs, ENTRY)
    signal()
    request_stop(jobs, ENTRY)
    assert signal.close()


def test_while_nobody_knows_the_run_goes_on_and_asks_again_after_the_interval(watch, caplog):
    jobs = Jobs(failing=True)
    request_stop(jobs, ENTRY)
    signal = StopSignal(jobs, ENTRY)
    assert (signal(), signal(), jobs.looked) == (False, False, 1)
    [record] = caplog.records
    assert BATCH in record.getMessage()
    assert record.exc_info
    jobs.failing = False
    watch.at += POLL_INTERVAL_S
    assert signal()
