"""Each step of a run by itself, on a ledger, workers and a consolidator that only note what they are asked."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.batches.business_key import BusinessKey, RowVersion
from services.batches.conservation import conservation_sums
from services.batches.ledger import BatchRecord, PlayerOutcome, StateAlreadyRecorded, count_outcomes
from services.batches.state import IN_PROGRESS_STATES, RESUMABLE_STATES, STALL_TIMEOUT, BatchState
from services.core.errors import InvalidInput, OnCallError
from services.core.process_id import holder_id
from services.gcp.retry import RetryPolicy
from services.pipeline.consolidator import ConsolidationResult, sum_results
from services.pipeline.coordinator import batch_runner, stop
from services.pipeline.coordinator.batch_runner import (
    LEASE_POLL_S,
    MAX_LEASE_WAIT_S,
    MAX_ROUNDS,
    BatchAlreadyRunning,
    BatchRunner,
)
from services.pipeline.coordinator.batch_tracker import PROGRESS_INTERVAL
from services.pipeline.coordinator.dispatcher import WorkerEndpoint
from services.pipeline.coordinator.resume import Activation, WrongBatchState
from services.pipeline.coordinator.run_request import Run, initial_record
from services.pipeline.lease import LeaseHeld
from services.pipeline.manifest import EmptyStaging, NothingStaged
from services.pipeline.warehouse import LeaseLost
from tests.support.memory_clients import SimulatedClock
from tests.support.memory_rows import NIGHT

BATCH, OTHER = f"batch_{NIGHT}_1767078000000", f"batch_{NIGHT}_1767078000001"
PLAYERS = ("ann", "bob", "cid")
RUN = Run(BATCH, NIGHT, 11, 7, cast(Any, tuple({"player_lookup": name} for name in PLAYERS)), "ada")
REQUESTED = initial_record(RUN, "coordinator-a")
STARTED = datetime(2025, 12, 30, 7, tzinfo=UTC)
ENDPOINT = WorkerEndpoint("https://worker.test", 4)
RESULT = ConsolidationResult(
    BATCH, NIGHT, ("t1", "t2"), frozenset({"ann"}), 75, 70, 5, 40, 20, 10, 1, 3, "merge-1", 9, 0
)


class World:
    """The ledger, the workers, the warehouse and the consolidator of one batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = SimulatedClock()
        self.states: list[BatchRecord] = []  # recorded, of whatever batch
        self.starts: list[int] = []  # numbers of the date's starts that are taken
        self.recorded: dict[str, PlayerOutcome] = {}
        self.appended: list[PlayerOutcome] = []
        self.ledger_error: Exception | None = None
        self.answers = dict.fromkeys(PLAYERS, "staged")
        self.on_ask: Callable[[str], None] = lambda _player: None
        self.tables: dict[str, int] = {}  # rows by unit
        self.cleanup_error: Exception | None = None
        self.steps_min: tuple[float, ...] = ()  # how long the steps of a consolidation take
        self.on_progress: Any = None
        self.jobs: dict[str, Any] = {}
        self.consolidations: list[ConsolidationResult | Exception] = [RESULT]
        self.consolidated: list[object] = []
        self.verified: Mapping[str, int] = {}  # rows by table, as the consolidator was given them
        self.retry = self.clock.retry_policy()
        self.opened: list[object] = []  # with which retries
        monkeypatch.setattr(stop, "time", self.clock)
        monkeypatch.setattr(batch_runner, "Ledger", self._open)
        monkeypatch.setattr(batch_runner, "BigQueryWarehouse", self._open)
        monkeypatch.setattr(batch_runner, "Consolidator", self._consolidator)
        monkeypatch.setattr(batch_runner, "dispatch", self._dispatch)
        monkeypatch.setattr(batch_runner, "get_worker_endpoint", self._endpoint)
        self.runner = BatchRunner(cast(Any, self.clock), self.retry)
        self.runner.instance_id = "coordinator-a"

    def _open(self, clients: object, *retry: object) -> World:
        assert clients is self.clock
        self.opened.append(retry)
        return self

    # the ledger

    def batches_of(self, game_date: object) -> tuple[BatchRecord, ...]:
        assert game_date == NIGHT
        return tuple({entry.batch_id: entry for entry in self.states}.values())

    def append_start(self, record: BatchRecord, number: int) -> bool:
        if number in self.starts:
            return False
        self.starts.append(number)
        self.states.append(record)
        return True

    def append_state(self, record: BatchRecord) -> None:
        if self.ledger_error is not None:
            raise self.ledger_error
        self.states.append(record)

    def latest(self, batch_id: str, game_date: object) -> BatchRecord | None:
        assert game_date == NIGHT
        return next((entry for entry in reversed(self.states) if entry.batch_id == batch_id), None)

    def player_outcomes(self, batch_id: str, game_date: object) -> dict[str, PlayerOutcome]:
        assert (batch_id, game_date) == (BATCH, NIGHT)
        return self.recorded

    def append_outcomes(self, batch_id: str, game_date: object, outcomes: list[PlayerOutcome]) -> None:
        assert (batch_id, game_date) == (BATCH, NIGHT)
        self.appended += outcomes

    # the workers

    def _endpoint(self, clients: object, configured_limit: int) -> WorkerEndpoint:
        assert (clients, configured_limit) == (self.clock, 100)
        return ENDPOINT

    def pace_load(self) -> None:
        """No request is sent here."""

    def _dispatch(self, *args: Any, should_stop: Callable[[], bool], pace: object) -> tuple[PlayerOutcome, ...]:
        *facts, players, retry, on_outcome = args
        assert facts == [self.clock, ENDPOINT, BATCH, NIGHT]
        assert (retry, pace) == (self.retry, self.pace_load)
        outcomes = []
        for player in players:
            self.on_ask(player["player_lookup"])
            if should_stop():
                break
            outcomes.append(outcome(player["player_lookup"], self.answers[player["player_lookup"]]))
            on_outcome(outcomes[-1])
        return tuple(outcomes)

    # the warehouse

    def list_staging_tables(self, _prefix: str) -> list[str]:
        prefix = f"nba_predictions._staging_{BATCH.replace('-', '_')}_"
        return [prefix + unit for unit in self.tables]

    def read_rows(self, table: str) -> list[tuple[BusinessKey, RowVersion]]:
        unit = table.rpartition("_p_")[2]
        row = (BusinessKey(str(NIGHT), "g1", unit, "s1", "20"), RowVersion(STARTED, "1", is_active=True))
        return [row] * self.tables[f"p_{unit}"]

    def claim_job_id(self, job_id: str, labels: Any) -> bool:
        return self.jobs.setdefault(job_id, labels) is labels

    def get_claim(self, job_id: str) -> Any:
        return self.jobs.get(job_id)

    # the consolidator

    def _consolidator(self, *args: object) -> SimpleNamespace:
        *facts, self.on_progress = args
        assert facts == [self, "coordinator-a", self.retry]
        return SimpleNamespace(consolidate=self._consolidate)

    def _consolidate(
        self, batch_id: str, game_date: object, verified: Mapping[str, int], on_merged: Callable[[Any], None]
    ) -> ConsolidationResult:
        assert (batch_id, game_date) == (BATCH, NIGHT)
        self.verified = verified
        self.consolidated.append(self.clock.now())
        for minutes in self.steps_min:
            self.clock.sleep(60 * minutes)
            self.on_progress()
        answer = self.consolidations.pop(0) if len(self.consolidations) > 1 else self.consolidations[0]
        if isinstance(answer, Exception):
            raise answer
        on_merged(answer)
        if self.cleanup_error is not None:
            raise self.cleanup_error
        return answer

    # what tests ask

    def record(self, state: BatchState, **changes: Any) -> BatchRecord:
        """Put a state of the batch into the ledger."""
        entry = replace(REQUESTED, **{"state": state, "sequence": len(self.states) + 1, **changes})
        self.states.append(entry)
        return entry

    def run(self, **activation: Any) -> BatchRecord:
        """Run the batch, as it was requested."""
        if not self.states:
            self.record(BatchState.REQUESTED)
        return self.runner.run(Activation(RUN, self.states[-1], **activation))

    @property
    def history(self) -> list[str]:
        return [entry.state.value for entry in self.states]


def outcome(player: str, name: str = "staged", **changes: Any) -> PlayerOutcome:
    rows = {"produced_rows": 25, "staged_rows": 25} if name == "staged" else {}
    return PlayerOutcome(player, f"p_{player}", name, **{**rows, **changes})


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


# --- the process ------------------------------------------------------------------------------------------------------


def test_a_process_has_the_name_of_its_revision_and_retries_as_it_is_configured(world, monkeypatch):
    assert BatchRunner(cast(Any, world.clock)).instance_id == holder_id("coordinator")
    assert BatchRunner(cast(Any, world.clock))._retry == RetryPolicy(retries=3)
    monkeypatch.setenv("K_REVISION", "coordinator-00042")
    monkeypatch.setenv("SELF_HEALING_DML_MAX_RETRIES", "5")
    assert BatchRunner(cast(Any, world.clock)).instance_id == holder_id("coordinator-00042")
    assert BatchRunner(cast(Any, world.clock))._retry == RetryPolicy(retries=5)
    monkeypatch.setenv("SELF_HEALING_DML_BACKOFF_ENABLED", "false")
    assert BatchRunner(cast(Any, world.clock))._retry == RetryPolicy(retries=0)


def test_the_ledger_is_retried_as_everything_else(world):
    assert world.opened == [(world.retry,), ()]


# --- starting, resuming and stopping ------------------------------------------------------------------------------------


def test_a_batch_takes_the_number_of_its_dates_next_start(world):
    assert world.runner.record_requested(RUN) == Activation(RUN, REQUESTED)
    assert (world.starts, world.states) == ([1], [REQUESTED])
    world.states[:] = [replace(REQUESTED, batch_id=name, state=BatchState.STOPPED) for name in (BATCH, OTHER)]
    world.starts = [1, 2, 3, 4]  # of two batches there are no records any more
    world.runner.record_requested(replace(RUN, batch_id="batch-3"))
    assert world.starts == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("started_by", "named"), [("ada", "ada"), ("", "unknown")])
def test_a_start_is_logged_with_who_asked_for_it(world, caplog, started_by, named):
    caplog.set_level(logging.INFO, "coordinator")
    world.runner.record_requested(replace(RUN, started_by=started_by))
    assert caplog.messages == [f"Starting prediction batch for {NIGHT} (batch={BATCH}, by={named})"]


@pytest.mark.parametrize("state", BatchState)
def test_a_date_starts_only_when_none_of_its_batches_is_in_progress(world, state):
    entry = world.record(state, batch_id=OTHER)
    if state not in IN_PROGRESS_STATES:
        assert world.runner.record_requested(RUN).entry == REQUESTED
        return
    with pytest.raises(BatchAlreadyRunning) as refusal:
        world.runner.record_requested(RUN)
    assert refusal.value.entry is entry
    assert refusal.value.message == f"{OTHER} is {state} for {NIGHT}."
    assert refusal.value.hint
    assert world.states == [entry]


@pytest.mark.parametrize("state", sorted(RESUMABLE_STATES))
def test_a_batch_that_stopped_is_recorded_as_running_with_what_is_known(world, monkeypatch, state):
    entry = world.record(state, sequence=4, holder="coordinator-b", reason="old")
    known = {"ann": outcome("ann"), "bob": outcome("bob", "not generated")}
    rest = replace(RUN, players=RUN.players[2:])
    world.recorded = {"ann": outcome("ann", "no answer")}

    def plan_resume(*args):
        assert args == (world.clock, world, entry, world.recorded)
        return Activation(rest, entry, known, (known["ann"],))

    monkeypatch.setattr(batch_runner, "plan_resume", plan_resume)
    running = replace(
        entry,
        state=BatchState.RUNNING,
        sequence=5,
        holder="coordinator-a",
        reason="resumed: 1 players staged before, 1 asked again",
        details={**entry.details, "activation": 5},
    )
    assert world.runner.resume(BATCH) == Activation(rest, running, known, (known["ann"],))
    assert world.states == [entry, running]


def test_a_batch_is_not_resumed_beside_another_of_its_date(world):
    world.record(BatchState.STALLED)
    world.record(BatchState.RUNNING, batch_id=OTHER)
    with pytest.raises(BatchAlreadyRunning, match=OTHER):
        world.runner.resume(BATCH)


@pytest.mark.parametrize("state", sorted(set(BatchState) - RESUMABLE_STATES))
def test_a_batch_that_runs_or_has_ended_is_not_resumed(world, state):
    entry = world.record(state)
    running = state in IN_PROGRESS_STATES
    with pytest.raises(BatchAlreadyRunning if running else WrongBatchState, match=f"{BATCH} is {state}") as refusal:
        world.runner.resume(BATCH)
    assert (cast(Any, refusal.value).entry, world.states) == (entry, [entry])


@pytest.mark.parametrize("batch_id", [OTHER, "other", "fallback_1767077100000"])
def test_an_unknown_batch_is_refused(world, batch_id):
    world.record(BatchState.STALLED)
    for verb in (world.runner.resume, world.runner.request_stop):
        with pytest.raises(InvalidInput, match=batch_id) as refusal:
            verb(batch_id)
        assert refusal.value.message.endswith(".")
        assert refusal.value.hint


def test_a_running_batch_is_told_to_stop_until_its_last_player_was_asked(world):
    entry = world.record(BatchState.RUNNING)
    assert not world.runner.is_stopping(entry)
    assert world.runner.request_stop(BATCH) is entry
    assert world.runner.is_stopping(entry)
    assert not world.runner.is_stopping(replace(entry, state=BatchState.STOPPED))
    world.jobs = {job_id: {"by": "dispatch"} for job_id in world.jobs}
    assert not world.runner.is_stopping(entry)
    with pytest.raises(WrongBatchState, match=f"All players of {BATCH} have been asked") as refusal:
        world.runner.request_stop(BATCH)
    assert refusal.value.entry is entry


@pytest.mark.parametrize("state", sorted(set(BatchState) - {BatchState.REQUESTED, BatchState.RUNNING}))
def test_a_batch_that_asks_nobody_is_not_told_to_stop(world, state):
    entry = world.record(state)
    with pytest.raises(WrongBatchState, match=f"{BATCH} is {state}, so it asks no players") as refusal:
        world.runner.request_stop(BATCH)
    assert (refusal.value.entry, world.jobs) == (entry, {})


def test_the_consolidator_is_given_the_rows_of_the_tables_that_workers_have_answered_for(world):
    staged = {"staging_table": "t", "load_job_id": "load-1"}
    known = {"ann": outcome("ann", **staged), "bob": outcome("bob", **staged)}
    adopted = outcome("cid", reason="adopted", staging_table="t2")
    nobody = Activation(replace(RUN, players=()), world.record(BatchState.RUNNING), {**known, "cid": adopted})
    world.runner.run(nobody)
    assert world.verified == {"t": 50}


# --- asking the workers -------------------------------------------------------------------------------------------------


def test_a_run_records_every_step_with_what_is_known_then(world):
    world.consolidations = [replace(RESULT, active_players=1, active_rows=3)]
    world.run()
    requested, running, staged, consolidating, consolidated = world.states
    assert (requested, running.state, running.reason) == (
        REQUESTED,
        BatchState.RUNNING,
        "3 players asked, 4 at once",
    )
    assert (staged.state, staged.reason) == (BatchState.STAGED, "3 of 3 players staged")
    assert (staged.outcome_counts, staged.produced_rows, staged.staged_tables) == (
        count_outcomes(map(outcome, PLAYERS)),
        75,
        3,
    )
    assert (consolidating.state, consolidating.reason) == (BatchState.CONSOLIDATING, "")
    sums = {name: getattr(consolidated, name) for name in ("distinct_keys", "inserted", "updated", "unchanged")}
    assert sums == {"distinct_keys": 70, "inserted": 40, "updated": 20, "unchanged": 10}
    assert (consolidated.collapsed_rows, consolidated.deactivated, consolidated.staged_rows) == (5, 3, 75)
    assert (consolidated.merge_job_id, consolidated.fence) == ("merge-1", 9)
    assert (consolidated.active_players, consolidated.active_rows) == (1, 3)
    assert (consolidated.state, consolidated.players) == (BatchState.CONSOLIDATED, PLAYERS)
    assert {entry.holder for entry in world.states} == {"coordinator-a"}
    assert world.appended == list(map(outcome, PLAYERS))


def test_while_a_process_asks_it_counts_the_outcomes_and_afterwards_no_more(world):
    seen = []
    known = {"dan": outcome("dan"), "eve": outcome("eve", "not generated")}
    world.on_ask = lambda _player: seen.append(Counter(world.runner.progress[BATCH]))
    world.answers["bob"] = "write rejected"
    world.run(known=known)
    first = Counter({"staged": 1, "not generated": 1})
    assert seen == [first, first + Counter({"staged": 1}), first + Counter({"staged": 1, "write rejected": 1})]
    assert world.runner.progress == {}


def test_while_a_process_asks_its_progress_is_recorded_with_the_reason_of_the_run(world):
    world.on_ask = lambda player: world.clock.sleep(PROGRESS_INTERVAL.total_seconds() if player == "bob" else 0)
    world.run()
    assert world.history[:4] == ["requested", "running", "running", "staged"]
    assert (world.states[2].reason, world.states[2].outcome_counts) == ("3 players asked, 4 at once", {"staged": 2})


def test_what_was_known_before_is_counted_and_recorded_where_it_was_not(world):
    known = {"ann": outcome("ann", reason="adopted"), "bob": outcome("bob", "not generated")}
    world.record(BatchState.RUNNING, details={**REQUESTED.details, "activation": 5})
    rest = replace(RUN, players=RUN.players[2:])
    entry = world.runner.run(Activation(rest, world.states[-1], known, (known["ann"],)))
    assert world.appended == [known["ann"], outcome("cid")]
    assert (entry.state, entry.outcome_counts["staged"], entry.outcome_counts["not generated"]) == (
        BatchState.CONSOLIDATED,
        2,
        1,
    )
    assert world.states[1].reason == "1 players asked, 4 at once"


@pytest.mark.parametrize("name", ["no answer", "internal error"])
def test_rows_of_a_player_without_an_answer_are_adopted_where_they_are_staged(world, name):
    world.answers |= {"bob": name, "cid": name}
    world.tables = {"p_ann": 99, "p_cid": 25}
    entry = world.run()
    assert {o.player_lookup: (o.outcome, o.reason, o.staged_rows) for o in world.appended} == {
        "ann": ("staged", "", 25),
        "bob": (name, "", None),
        "cid": ("staged", "adopted", 25),
    }
    assert (entry.state, entry.reason) == (
        BatchState.STALLED,
        "consolidated staged rows; 1 of 3 players gave no answer",
    )


@pytest.mark.parametrize("name", ["not generated", "write rejected"])
def test_a_player_whose_worker_answered_is_not_adopted(world, name):
    world.answers["bob"], world.tables = name, {"p_bob": 25}
    world.run()
    assert [o.outcome for o in world.appended] == ["staged", name, "staged"]


def test_a_run_that_is_told_to_stop_asks_no_more_and_consolidates_nothing(world):
    def stop_at_bob(player):
        world.clock.sleep(1)
        if player == "bob":
            world.runner.request_stop(BATCH)

    world.on_ask = stop_at_bob
    entry = world.run()
    assert (entry.state, entry.reason) == (
        BatchState.STOPPED,
        "stopped on request: 1 of 3 players staged, 2 not requested",
    )
    assert (entry.outcome_counts, entry.staged_rows) == ({**count_outcomes([outcome("ann")]), "not asked": 2}, 25)
    assert conservation_sums(entry)[0].holds is True
    assert (world.appended, world.consolidated) == ([outcome("ann")], [])


def test_a_run_whose_batch_another_process_took_over_ends_without_a_record(world, caplog):
    def take_over(player):
        if player == "bob":
            world.clock.sleep(PROGRESS_INTERVAL.total_seconds())
            world.ledger_error = StateAlreadyRecorded("Another was first.")

    world.on_ask = take_over
    entry = world.run()
    assert (entry.state, world.history, world.consolidated) == (BatchState.RUNNING, ["requested", "running"], [])
    assert [o.player_lookup for o in world.appended] == ["ann", "bob"], (
        "what was answered is recorded, and cid not asked"
    )
    assert f"Batch {BATCH} is run by another instance: Another was first." in caplog.text
    assert world.runner.progress == {}


# --- consolidating ----------------------------------------------------------------------------------------------------


def test_a_batch_is_consolidated_again_while_tables_come_late_and_the_rounds_are_added(world):
    late = replace(RESULT, late_tables=1)
    world.consolidations = [late, late, replace(RESULT, tables=("t3",), merge_job_id="merge-3", fence=11)]
    entry = world.run()
    assert (entry.state, len(world.consolidated)) == (BatchState.CONSOLIDATED, 3)
    assert (entry.inserted, entry.distinct_keys, entry.merge_job_id, entry.fence) == (120, 210, "merge-3", 11)


def test_tables_that_keep_changing_fail_the_consolidation_and_are_kept(world, caplog):
    world.consolidations = [replace(RESULT, late_tables=2)]
    entry = world.run()
    assert (entry.state, len(world.consolidated)) == (BatchState.CONSOLIDATION_FAILED, MAX_ROUNDS)
    assert entry.reason.startswith(f"2 staging tables of {BATCH} keep changing; they are kept.")
    assert f"Consolidation FAILED: {entry.reason} (batch={BATCH})" in caplog.text


@pytest.mark.parametrize("error", [LeaseHeld("The dashboard consolidates."), LeaseLost("Another took over.")])
def test_a_consolidation_waits_for_the_lease_with_a_record_a_minute(world, error):
    world.consolidations = [error] * 14 + [RESULT]
    began = world.clock.now()
    entry = world.run()
    assert [(at - began).total_seconds() for at in world.consolidated] == [LEASE_POLL_S * n for n in range(15)]
    assert (entry.state, world.history.count("consolidating")) == (BatchState.CONSOLIDATED, 2)
    waiting = world.states[-2]
    assert (waiting.reason, waiting.outcome_counts) == (str(error), count_outcomes(map(outcome, PLAYERS)))


@pytest.mark.parametrize("error", [LeaseHeld("The dashboard consolidates."), LeaseLost("Another took over.")])
def test_a_lease_that_is_held_for_too_long_postpones_the_consolidation(world, caplog, error):
    world.consolidations = [error]
    entry = world.run()
    assert (entry.state, entry.reason) == (BatchState.STALLED, str(error))
    assert (world.consolidated[-1] - world.consolidated[0]).total_seconds() == MAX_LEASE_WAIT_S
    assert f"Consolidation postponed: {error} (batch={BATCH})" in caplog.text


def test_a_batch_of_which_nothing_is_found_or_was_merged_has_lost_its_tables(world):
    world.consolidations = [NothingStaged("no table")]
    entry = world.run()
    assert (entry.state, entry.reason) == (BatchState.CONSOLIDATION_FAILED, "no table")


def test_a_process_that_waits_for_the_lease_ends_when_another_took_the_batch(world, caplog):
    world.consolidations = [LeaseHeld("The dashboard consolidates.")]

    def take_over():
        world.ledger_error = StateAlreadyRecorded("Another was first.")

    world.clock.on_sleep = take_over
    assert world.run().state is BatchState.CONSOLIDATING
    assert (world.consolidated[-1] - world.consolidated[0]) == PROGRESS_INTERVAL
    assert f"Batch {BATCH} is run by another instance" in caplog.text


def test_where_nobody_was_staged_there_is_nothing_to_consolidate(world, caplog):
    world.answers = dict.fromkeys(PLAYERS, "not generated")
    world.consolidations = [NothingStaged("no table")]
    entry = world.run()
    assert (entry.state, entry.reason, entry.inserted, entry.merge_job_id) == (
        BatchState.CONSOLIDATED,
        "nothing was staged",
        0,
        None,
    )
    assert f"Nothing was consolidated: nothing was staged (batch={BATCH})" in caplog.text


@pytest.mark.parametrize("merged", [(), ("ann", "bob"), PLAYERS])
def test_staged_players_whose_tables_are_not_found_fail_the_consolidation_unless_they_were_merged(world, merged):
    world.consolidations = [NothingStaged("no table")]
    details = {**REQUESTED.details, "consolidated": {"players": list(merged), "inserted": 40}}
    world.record(BatchState.RUNNING, details=details)
    entry = world.run()
    if merged == PLAYERS:
        assert (entry.state, entry.inserted) == (BatchState.CONSOLIDATED, 40)
    else:
        assert (entry.state, entry.reason) == (BatchState.CONSOLIDATION_FAILED, "no table")


def test_a_consolidation_of_an_hour_that_progresses_is_never_seen_as_stalled(world):
    world.steps_min = (9,) * 7
    times: list[datetime] = []
    append = world.append_state

    def append_state(record: BatchRecord) -> None:
        times.append(world.clock.now())
        append(record)

    world.append_state = append_state
    assert world.run().state is BatchState.CONSOLIDATED
    assert times[-1] - times[0] > timedelta(hours=1)
    assert max(later - earlier for earlier, later in pairwise(times)) < STALL_TIMEOUT
    assert {entry.reason for entry in world.states if entry.state is BatchState.CONSOLIDATING} == {""}


def test_active_rows_that_were_not_counted_are_not_known(world):
    entry = world.run()
    assert (entry.state, entry.active_players, entry.active_rows, entry.inserted) == ("consolidated", None, None, 40)


def test_a_cleanup_that_fails_leaves_the_batch_consolidated(world, caplog):
    world.cleanup_error = ConnectionError("down")
    assert world.run().state is BatchState.CONSOLIDATED
    assert world.history[-2:] == ["consolidating", "consolidated"]
    assert f"Cleanup FAILED: merged staging tables are left (batch={BATCH})" in caplog.text


@pytest.mark.parametrize(("eligible", "text"), [(4, "2/4 (50.0%) - Missing: 2"), (None, "2/0 (0.0%) - Missing: -2")])
def test_the_coverage_is_logged_as_the_customers_coordinator_does(world, caplog, eligible, text):
    caplog.set_level(logging.INFO, "coordinator")
    world.consolidations = [replace(RESULT, active_players=2)]
    world.record(BatchState.REQUESTED, eligible=eligible)
    world.run()
    assert f"Coverage check for {NIGHT}: {text}" in caplog.text
    assert "Consolidation SUCCESS: 70 rows merged from 2 staging tables" in caplog.text
    assert f"Published 3/3 prediction requests [batch={BATCH}]" in caplog.text


@pytest.mark.parametrize("cleanup", [None, ConnectionError("down")])
@pytest.mark.parametrize("consolidation", [None, NothingStaged("no table"), LeaseLost("lost"), ValueError("a bug")])
def test_every_line_about_a_batch_has_its_id(world, caplog, cleanup, consolidation):
    caplog.set_level(logging.INFO, "coordinator")
    world.cleanup_error = cleanup
    if consolidation is not None:
        world.consolidations = [consolidation] * 200
    world.run()
    assert len(caplog.messages) >= 3
    assert [message for message in caplog.messages if BATCH not in message] == []


def test_the_sums_of_two_rounds_are_added_and_the_rest_is_of_the_second():
    second = ConsolidationResult(BATCH, NIGHT, ("t3",), frozenset({"bob"}), 1, 2, 3, 4, 5, 6, 7, 8, "merge-2", 10, 1)
    assert sum_results(RESULT, second) == ConsolidationResult(
        BATCH, NIGHT, ("t1", "t2", "t3"), frozenset({"ann", "bob"}), 76, 72, 8, 44, 25, 16, 8, 11, "merge-2", 10, 1
    )


# --- failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OnCallError("BigQuery is away.", "Wait."), str(OnCallError("BigQuery is away.", "Wait."))),
        (EmptyStaging("no rows"), "no rows"),
        (KeyError("a bug"), "KeyError: 'a bug'"),
        (ValueError("x" * 2000), ("ValueError: " + "x" * 2000)[:1000]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_the_reason_of_the_state_in_which_it_leaves_the_batch(world, caplog, error, reason):
    world.consolidations = [error]
    entry = world.run()
    assert (entry.state, entry.reason) == (BatchState.CONSOLIDATION_FAILED, reason)
    assert world.states[-1] == entry
    assert f"Consolidation FAILED: {reason} (batch={BATCH})" in caplog.text


@pytest.mark.parametrize("error", [OnCallError("Cloud Run is away."), LeaseHeld("odd here")])
def test_an_error_before_the_consolidation_is_none_of_the_consolidation(world, caplog, error):
    def fail(_player):
        raise error

    world.on_ask = fail
    entry = world.run()
    assert (entry.state, entry.reason, world.history) == (
        BatchState.STALLED,
        str(error),
        ["requested", "running", "stalled"],
    )
    assert f"Dispatch FAILED: {error} (batch={BATCH})" in caplog.text
    assert "Consolidation" not in caplog.text


def test_a_failure_that_cannot_be_recorded_is_in_the_log(world, caplog):
    world.ledger_error = OnCallError("BigQuery is away.")
    entry = world.run()
    assert (entry, world.history) == (REQUESTED, ["requested"])
    assert f"Dispatch FAILED: BigQuery is away. (batch={BATCH})" in caplog.text
    assert f"The state of batch {BATCH} could not be recorded: stalled" in caplog.text
