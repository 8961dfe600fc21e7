"""What is recorded of a batch is read back as it was, each state once, by one process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.api_core.exceptions import ServiceUnavailable

from services.batches import ledger as ledgers
from services.batches.ledger import BatchRecord, Ledger, PlayerOutcome, StateAlreadyRecorded, count_outcomes
from services.batches.state import STALL_TIMEOUT, BatchState
from services.core.errors import OnCallError
from services.gcp import query_catalog
from tests.support.memory_bigquery import Hook, MemoryProject, no_hook
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients
from tests.support.memory_rows import NIGHT

BATCH, OTHER = f"batch_{NIGHT}_1767078000000", f"batch_{NIGHT}_1767078000001"
REQUESTED = BatchRecord(BATCH, NIGHT, BatchState.REQUESTED, 1, "coordinator-a")
SUMS = [f.name for f in fields(BatchRecord) if f.type == "int | None" and f.name != "fence"]
FULL = BatchRecord(
    BATCH,
    NIGHT,
    BatchState.CONSOLIDATED,
    5,
    "coordinator-a",
    "ada",
    "why",
    **cast(Any, dict(zip(SUMS, range(10, 24), strict=True))),
    merge_job_id="merge-1",
    fence=7,
    details={"players": ["ann", "bob"], "activation": 4, "outcomes": {"staged": 2}, "min_minutes": 12.5},
)
STAGED = PlayerOutcome("ann", "p_ann", "staged", "why", "what", 25, 24, "dataset.table", "load-1", 3)


@dataclass
class Book:
    """A project with a ledger, opened by as many processes as a test needs."""

    project: MemoryProject
    clock: SimulatedClock

    def open(self, hook: Hook = no_hook) -> Ledger:
        return Ledger(memory_clients(self.project, hook), self.clock.retry_policy(retries=1))

    def rows(self, table: str = "batches") -> list[dict[str, Any]]:
        return self.project.rows(f"prediction_on_call.{table}")


@pytest.fixture
def book() -> Iterator[Book]:
    clock = SimulatedClock()
    project = MemoryProject(clock)
    with in_memory(clock, {}):
        yield Book(project, clock)
    project.close()


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_state_is_read_back_with_every_field_and_the_time_of_its_record(book):
    assert all(getattr(FULL, f.name) for f in fields(FULL) if f.name != "recorded_at"), "a field is not tried"
    book.open().append_state(FULL)
    latest = book.open().latest(BATCH, NIGHT)
    assert (latest, latest.recorded_at) == (FULL, book.clock.now())
    assert (latest.players, latest.activation, latest.outcome_counts) == (("ann", "bob"), 4, {"staged": 2})


def test_what_is_not_known_of_a_batch_is_none_and_no_number(book):
    book.open().append_state(REQUESTED)
    latest = book.open().latest(BATCH, NIGHT)
    assert latest == REQUESTED
    assert (latest.requested, latest.inserted, latest.fence, latest.outcome_counts) == (None, None, None, None)
    assert (latest.players, latest.activation, latest.details) == ((), 1, {})


def test_the_highest_sequence_is_the_state_of_a_batch_in_whatever_order_they_are_stored(book):
    for sequence in (2, 3, 1):
        book.open().append_state(replace(REQUESTED, sequence=sequence, reason=f"state {sequence}"))
    book.open().append_state(replace(REQUESTED, batch_id=OTHER, state=BatchState.STOPPED, reason="other"))
    assert book.open().latest(BATCH, NIGHT).reason == "state 3"
    assert {b.batch_id: (b.sequence, b.reason, b.state) for b in book.open().batches_of(NIGHT)} == {
        BATCH: (3, "state 3", BatchState.REQUESTED),
        OTHER: (1, "other", BatchState.STOPPED),
    }


def test_a_batch_or_a_date_of_which_nothing_is_recorded_has_no_state(book):
    book.open().append_state(REQUESTED)
    assert book.open().latest(OTHER, NIGHT) is None
    assert book.open().latest(BATCH, NIGHT + timedelta(days=1)) is None
    assert book.open().batches_of(NIGHT + timedelta(days=1)) == ()


def test_a_batch_of_which_nothing_is_recorded_for_long_has_stalled(book):
    book.open().append_state(REQUESTED)
    for after, state in ((STALL_TIMEOUT, BatchState.REQUESTED), (timedelta(seconds=1), BatchState.STALLED)):
        book.clock.sleep(after.total_seconds())
        assert book.open().latest(BATCH, NIGHT).state is state
        assert [batch.state for batch in book.open().batches_of(NIGHT)] == [state]


def test_a_state_is_recorded_once_by_the_process_that_is_first(book):
    book.open().append_state(REQUESTED)
    with pytest.raises(StateAlreadyRecorded) as refusal:
        book.open().append_state(replace(REQUESTED, holder="coordinator-b", state=BatchState.RUNNING))
    assert refusal.value.message == (
        f"{BATCH} is not running: coordinator-a recorded “requested” first, as its state 1."
    )
    assert refusal.value.hint
    assert [(row["holder"], row["state"]) for row in book.rows()] == [("coordinator-a", "requested")]


def test_the_same_process_does_not_record_a_state_again_later(book):
    book.open().append_state(REQUESTED)
    book.clock.sleep(1)
    with pytest.raises(StateAlreadyRecorded):
        book.open().append_state(replace(REQUESTED, state=BatchState.RUNNING))
    assert len(book.rows()) == 1


def test_two_processes_that_record_a_state_at_the_same_moment_do_not_take_each_other_for_themselves(book):
    book.open().append_state(REQUESTED)
    with pytest.raises(StateAlreadyRecorded):
        book.open().append_state(replace(REQUESTED, holder="coordinator-b"))


def test_a_state_whose_row_cannot_be_seen_is_not_taken_for_recorded(book):
    book.open().append_state(replace(REQUESTED, sequence=1))
    book.open().append_state(replace(REQUESTED, sequence=2))
    book.project.tables["prediction_on_call.batches"].set_rows(
        [row for row in book.rows() if row["sequence"] == 1], book.clock.now()
    )
    with pytest.raises(StateAlreadyRecorded, match="another process recorded its own first, as its state 2"):
        book.open().append_state(replace(REQUESTED, sequence=2))


def test_an_answer_that_was_lost_is_no_other_process(book):
    lost: list[str] = []

    def lose_answer(call, phase, _subject):
        if (call, phase) == ("INSERT", "after") and not lost:
            lost.append(call)
            raise ServiceUnavailable("no answer")

    book.open().append_state(REQUESTED)
    book.open(lose_answer).append_state(replace(REQUESTED, sequence=2))
    assert lost
    assert sorted(row["sequence"] for row in book.rows()) == [1, 2]


def test_a_state_that_cannot_be_recorded_is_tried_again_and_then_raises(book):
    tries = []

    def be_away(call, phase, _subject):
        if (call, phase) == ("INSERT", "before"):
            tries.append(call)
            raise ServiceUnavailable("away")

    with pytest.raises(OnCallError, match="could not be written"):
        book.open(be_away).append_state(REQUESTED)
    assert (len(tries), book.rows()) == (2, [])


@pytest.mark.parametrize("details", ['{"activation": 4}', {"activation": 4}, None, ""])
def test_details_are_read_from_text_as_from_json(monkeypatch, details):
    row = {"batch_id": BATCH, "game_date": NIGHT, "state": "stopped", "sequence": 1, "holder": "coordinator-a"}
    rows = ({**row, "details": details, "recorded_at": SimulatedClock().now(), "a_later_column": 1},)
    monkeypatch.setattr(query_catalog, "run_query", lambda *_, **__: SimpleNamespace(rows=rows))
    latest = Ledger(cast(Any, SimulatedClock())).latest(BATCH, NIGHT)
    assert latest is not None
    assert latest.activation == (4 if details else 1)


def test_every_version_of_the_coordinator_claims_the_same_job_ids(book):
    book.open().append_start(REQUESTED, 3)
    book.open().append_state(replace(REQUESTED, sequence=2))
    book.open().append_outcomes(BATCH, NIGHT, [STAGED])
    start, state, outcomes = book.project.jobs
    assert (start, state) == (f"on-call-start-{NIGHT}-3-0", f"on-call-state-{BATCH}-2-0")
    assert outcomes.startswith(f"on-call-outcomes-{BATCH}-")


# --- starts -----------------------------------------------------------------------------------------------------------


def test_of_two_batches_one_is_the_next_start_of_its_date(book):
    assert book.open().append_start(REQUESTED, 1) is True
    assert book.open().append_start(replace(REQUESTED, batch_id=OTHER), 1) is False
    assert book.open().append_start(replace(REQUESTED, batch_id=OTHER), 2) is True
    tomorrow = NIGHT + timedelta(days=1)
    assert book.open().append_start(replace(REQUESTED, game_date=tomorrow), 1) is True
    assert [row["batch_id"] for row in book.rows()] == [BATCH, OTHER, BATCH]


# --- outcomes of players ------------------------------------------------------------------------------------------------


def test_outcomes_are_read_back_with_every_field(book):
    plain = PlayerOutcome("bob", "p_bob", "no answer")
    book.open().append_outcomes(BATCH, NIGHT, [STAGED, plain])
    assert book.open().player_outcomes(BATCH, NIGHT) == {"ann": STAGED, "bob": plain}
    assert (STAGED.staged, plain.staged) == (True, False)
    assert {row["recorded_at"] for row in book.rows("batch_players")} == {book.clock.now()}
    assert book.open().player_outcomes(OTHER, NIGHT) == {}
    assert book.open().player_outcomes(BATCH, NIGHT + timedelta(days=1)) == {}


def test_the_newest_outcome_of_a_player_counts(book):
    book.open().append_outcomes(BATCH, NIGHT, [replace(STAGED, outcome="no answer", staged_rows=None)])
    book.clock.sleep(1)
    book.open().append_outcomes(BATCH, NIGHT, [STAGED])
    assert book.open().player_outcomes(BATCH, NIGHT) == {"ann": STAGED}
    assert len(book.rows("batch_players")) == 2


def test_outcomes_of_a_call_that_is_repeated_are_recorded_once(book):
    for _ in range(2):
        book.open().append_outcomes(BATCH, NIGHT, [STAGED])
    assert len(book.rows("batch_players")) == 1
    book.open().append_outcomes(OTHER, NIGHT, [STAGED])
    book.open().append_outcomes(BATCH, NIGHT, [replace(STAGED, attempts=4)])
    assert len(book.rows("batch_players")) == 3


@pytest.mark.parametrize(("players", "jobs"), [(0, 0), (1, 1), (2, 1), (3, 2), (5, 3)])
def test_many_outcomes_are_recorded_by_several_jobs_each_player_once(book, monkeypatch, players, jobs):
    monkeypatch.setattr(ledgers, "MAX_ROWS_PER_JOB", 2)
    names = [f"player{number}" for number in range(players)]
    book.open().append_outcomes(BATCH, NIGHT, [replace(STAGED, player_lookup=name) for name in names])
    assert [row["player_lookup"] for row in book.rows("batch_players")] == names
    assert len(book.project.jobs) == jobs


def test_every_outcome_is_counted_and_one_that_nobody_has_is_0():
    outcomes = [replace(STAGED, outcome=name) for name in ("staged", "no answer", "staged")]
    assert count_outcomes(outcomes) == {
        "staged": 2,
        "not generated": 0,
        "write rejected": 0,
        "internal error": 0,
        "no answer": 1,
    }
