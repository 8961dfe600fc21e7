"""What a process records of its batch: each state with the next number, its progress once a minute, and nothing once superseded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from services.batches.ledger import BatchRecord, StateAlreadyRecorded
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.pipeline.coordinator.batch_tracker import PROGRESS_INTERVAL, BatchTracker
from tests.support.memory_clients import SimulatedClock
from tests.support.memory_rows import NIGHT

BATCH = f"batch_{NIGHT}_1767078000000"
ENTRY = BatchRecord(
    BATCH, NIGHT, BatchState.REQUESTED, 1, "dashboard", started_by="ada", details={"players": ["ann"], "activation": 1}
)


@dataclass
class Records:
    """A ledger of one batch; `error` is raised by the next records, `newest` is what it has."""

    added: list[BatchRecord] = field(default_factory=list)
    error: Exception | None = None
    newest: BatchRecord | None = None
    tries: int = 0

    def append_state(self, record: BatchRecord) -> None:
        self.tries += 1
        if self.error is not None:
            raise self.error
        self.added.append(record)

    def latest(self, batch_id: str, game_date: object) -> BatchRecord | None:
        assert (batch_id, game_date) == (BATCH, NIGHT)
        return self.newest


@pytest.fixture
def records():
    return Records()


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def tracker(records, clock):
    return BatchTracker(cast(Any, clock), cast(Any, records), "coordinator-a", ENTRY)


def test_the_next_state_has_the_next_number_and_the_holder_of_this_process(tracker, records):
    tracker.advance(replace(ENTRY, state=BatchState.RUNNING, reason="why"))
    tracker.advance(replace(tracker.entry, state=BatchState.STAGED))
    running = replace(ENTRY, state=BatchState.RUNNING, reason="why", sequence=2, holder="coordinator-a")
    assert records.added == [running, replace(running, state=BatchState.STAGED, sequence=3)]
    assert tracker.entry == records.added[-1]
    assert tracker.superseded is None


@pytest.mark.parametrize("error", [StateAlreadyRecorded("taken"), OnCallError("down")])
def test_a_state_that_was_not_recorded_is_not_the_batchs_state(tracker, records, error):
    records.error = error
    with pytest.raises(type(error)):
        tracker.advance(replace(ENTRY, state=BatchState.RUNNING))
    assert tracker.entry is ENTRY


def test_progress_is_recorded_a_minute_after_the_last_record_and_not_before(tracker, records, clock):
    clock.sleep(PROGRESS_INTERVAL.total_seconds() - 1)
    tracker.record_progress({"staged": 1}, "asking")
    assert records.added == []
    clock.sleep(1)
    tracker.record_progress({"staged": 2}, "asking")
    tracker.record_progress({"staged": 3}, "asking")
    [record] = records.added
    assert record == replace(
        ENTRY,
        sequence=2,
        holder="coordinator-a",
        reason="asking",
        details={"players": ["ann"], "activation": 1, "outcomes": {"staged": 2}},
    )
    clock.sleep(PROGRESS_INTERVAL.total_seconds() - 1)
    tracker.advance(tracker.entry)
    clock.sleep(1)
    tracker.record_progress({"staged": 4}, "asking")
    assert len(records.added) == 2, "a state that was recorded a second ago is progress enough"


def test_the_counts_of_a_record_do_not_change_with_the_count_that_goes_on(tracker, records, clock):
    counts = {"staged": 1}
    clock.sleep(PROGRESS_INTERVAL.total_seconds())
    tracker.record_progress(counts, "asking")
    counts["staged"] = 2
    assert records.added[0].outcome_counts == {"staged": 1}


def test_a_process_that_was_superseded_knows_it_and_records_no_progress(tracker, records, clock):
    records.error = StateAlreadyRecorded("taken")
    clock.sleep(PROGRESS_INTERVAL.total_seconds())
    tracker.record_progress({}, "asking")
    assert tracker.superseded is records.error
    clock.sleep(PROGRESS_INTERVAL.total_seconds())
    tracker.record_progress({}, "asking")
    assert (records.tries, tracker.entry) == (1, ENTRY)


def test_progress_that_cannot_be_recorded_is_logged_and_tried_again_after_a_minute(tracker, records, clock, caplog):
    records.error = OnCallError("down")
    clock.sleep(PROGRESS_INTERVAL.total_seconds())
    tracker.record_progress({}, "asking")
    tracker.record_progress({}, "asking")
    assert (records.tries, tracker.superseded) == (1, None)
    [record] = caplog.records
    assert BATCH in record.getMessage()
    assert record.exc_info
    clock.sleep(PROGRESS_INTERVAL.total_seconds())
    tracker.record_progress({}, "asking")
    assert records.tries == 2


def test_a_record_of_this_process_whose_answer_was_lost_is_taken_over(tracker, records):
    records.newest = replace(ENTRY, holder="coordinator-a", sequence=2, state=BatchState.RUNNING)
    tracker.reread()
    assert tracker.entry is records.newest
    records.newest = replace(records.newest, sequence=1)
    tracker.reread()
    assert tracker.entry.sequence == 2, "an older record is none to go back to"


@pytest.mark.parametrize("changes", [{"holder": "coordinator-b"}, {"details": {"activation": 2}}])
def test_a_record_of_another_process_or_activation_is_not_taken_over(tracker, records, changes):
    records.newest = replace(ENTRY, **{"holder": "coordinator-a", "sequence": 9, **changes})
    tracker.reread()
    assert tracker.entry is ENTRY


def test_a_batch_that_the_ledger_does_not_have_stays_what_it_is(tracker):
    tracker.reread()
    assert tracker.entry is ENTRY
