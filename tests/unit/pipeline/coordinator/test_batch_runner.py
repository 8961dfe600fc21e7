"""A batch from request to proof, broken and resumed: every end has a name, and a player without an answer keeps it open."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from google.api_core.exceptions import Forbidden

from services.batches.conservation import is_conserved
from services.batches.ledger import Ledger, StateAlreadyRecorded
from services.batches.state import STALL_TIMEOUT, BatchState
from services.core.errors import InvalidInput, OnCallError
from services.pipeline import lease as leases
from services.pipeline.consolidator import Consolidator
from services.pipeline.coordinator.batch_runner import BatchAlreadyRunning
from services.pipeline.coordinator.batch_tracker import PROGRESS_INTERVAL
from services.pipeline.coordinator.resume import Activation, WrongBatchState
from services.pipeline.coordinator.run_request import plan_run
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.merge_proof import read_proofs
from tests.support.memory_rows import NIGHT
from tests.unit.pipeline.coordinator.conftest import CONTEXT_TABLE, PLAYERS, ROWS_PER_PLAYER

pytestmark = pytest.mark.usefixtures("one_player_per_unit")
ALL_ACTIVE = dict.fromkeys(PLAYERS, ROWS_PER_PLAYER)
TO_THE_END = ["requested", "running", "staged", "consolidating", "consolidated"]


class ProcessKilled(BaseException):
    """The process died here: no handler of the code under test may survive it."""


def count(**changes):
    names = ("staged", "not generated", "write rejected", "internal error", "no answer")
    return {name: changes.get(name.replace(" ", "_"), 0) for name in names}


def kill_at(job_part, phase="before"):
    """A hook that kills the process when it comes to a job whose id contains a text."""

    def hook(_call, at_phase, subject):
        if at_phase == phase and job_part in str(getattr(subject, "job_id", "")):
            raise ProcessKilled

    return hook


def fail_queries(call):
    """A hook by which every call of a kind fails for good."""

    def hook(this_call, phase, _subject):
        if (this_call, phase) == (call, "before"):
            raise Forbidden("no", errors=[{"reason": "accessDenied"}])

    return hook


# --- from start to end ------------------------------------------------------------------------------------------------


def test_a_batch_ends_consolidated_with_every_player_and_row_counted(night):
    started = night.requested()
    entry = night.runner().run(started)
    assert night.states(started.run.batch_id) == TO_THE_END
    assert entry == night.record(started.run.batch_id)
    assert (entry.requested, entry.details["outcomes"], is_conserved(entry)) == (3, count(staged=3), True)
    assert (entry.produced_rows, entry.inserted, entry.active_players, entry.active_rows) == (75, 75, 3, 75)
    assert (entry.generated, entry.staged_tables, entry.reason) == (3, 3, "")
    assert night.active_players() == ALL_ACTIVE
    assert night.staging_tables() == []


def test_a_run_that_cannot_read_the_ledger_ends_all_the_same(night):
    started = night.requested()
    entry = night.runner(fail_queries("SELECT")).run(started)
    assert entry.state is BatchState.CONSOLIDATED
    assert night.active_players() == ALL_ACTIVE


@pytest.mark.parametrize("sequence", [2, 3, 4, 5])
def test_a_state_that_cannot_be_recorded_is_an_error_in_the_log_and_the_batch_can_be_resumed(night, caplog, sequence):
    started = night.requested()

    def hook(call, phase, _subject):
        if (call, phase) == ("INSERT", "before") and len(night.states(started.run.batch_id)) == sequence - 1:
            raise Forbidden("no", errors=[{"reason": "accessDenied"}])

    night.runner(hook).run(started)
    [error] = [r for r in caplog.records if "could not be recorded" in r.getMessage()]
    assert error.exc_info
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    entry = night.runner().run(night.runner().resume(started.run.batch_id))
    assert (entry.state, is_conserved(entry)) == (BatchState.CONSOLIDATED, True)
    assert night.active_players() == ALL_ACTIVE


def test_a_failure_after_a_record_whose_answer_was_lost_has_the_next_number(night):
    started = night.requested()
    lost: list[str] = []

    def lose_every_answer_of_a_record(call, phase, _subject):
        if night.states(started.run.batch_id)[-1] == "staged" and not lost:
            lost.append(call)
            raise Forbidden("no", errors=[{"reason": "accessDenied"}])  # not retried, though the row is recorded

    entry = night.runner(lose_every_answer_of_a_record).run(started)
    assert lost
    assert night.states(entry.batch_id) == ["requested", "running", "staged", "stalled"]


# --- starting ---------------------------------------------------------------------------------------------------------


def test_of_two_coordinators_one_starts_a_date(night):
    winners: list[Activation] = []

    def let_the_other_start(call, phase, _subject):
        if (call, phase) == ("INSERT", "before") and not winners:
            winners.append(night.requested(night.runner(name="coordinator-b")))

    with pytest.raises(BatchAlreadyRunning) as refusal:
        night.requested(night.runner(let_the_other_start))
    assert refusal.value.entry.batch_id == winners[0].run.batch_id
    assert [row["batch_id"] for row in night.project.rows("prediction_on_call.batches")] == [winners[0].run.batch_id]


def test_a_date_is_started_again_when_nothing_runs(night):
    first = night.requested()
    with pytest.raises(BatchAlreadyRunning, match=f"{first.run.batch_id} is requested for 2025-12-29"):
        night.requested()
    night.runner().run(first)
    second = night.requested()
    night.clock.sleep(STALL_TIMEOUT.total_seconds() - 1)
    with pytest.raises(BatchAlreadyRunning):
        night.requested()  # a second later
    assert night.requested().run.batch_id not in {first.run.batch_id, second.run.batch_id}


def test_a_start_whose_records_were_deleted_does_not_prevent_the_next(night):
    for _ in range(3):
        night.requested()
        night.project.tables["prediction_on_call.batches"].set_rows([], night.clock.now())
    assert night.record(night.requested().run.batch_id).state is BatchState.REQUESTED


def test_a_start_whose_answer_was_lost_is_recorded_once(night):
    lost: list[str] = []

    def lose_answer(call, phase, subject):
        if (call, phase) == ("INSERT", "after") and not lost:
            lost.append(call)
            raise ConnectionError

    started = night.requested(night.runner(lose_answer))
    assert night.states(started.run.batch_id) == ["requested"]
    assert lost


def test_nothing_starts_while_it_is_unknown_what_runs(night):
    with pytest.raises(OnCallError, match="batches"):
        night.requested(night.runner(fail_queries("tabledata.list")))
    assert night.project.rows("prediction_on_call.batches") == []


# --- players without an answer ------------------------------------------------------------------------------------------


def test_workers_that_are_away_leave_the_batch_open(night):
    night.workers.away = {"bob", "cid"}
    started = night.requested()
    entry = night.runner().run(started)
    assert (entry.state, entry.reason) == (
        BatchState.STALLED,
        "consolidated staged rows; 2 of 3 players gave no answer",
    )
    assert (entry.details["outcomes"], is_conserved(entry)) == (count(staged=1, no_answer=2), False)
    assert (entry.staged_rows, entry.inserted, night.active_players()) == (25, 25, {"ann": 25})
    night.workers.away, night.workers.asked = set(), []
    entry = night.runner().run(night.runner().resume(started.run.batch_id))
    assert (entry.state, night.workers.asked) == (BatchState.CONSOLIDATED, ["bob", "cid"])
    assert (entry.details["outcomes"], is_conserved(entry)) == (count(staged=3), True)
    assert (entry.staged_rows, entry.distinct_keys, entry.inserted) == (75, 75, 75)
    assert night.active_players() == ALL_ACTIVE


def test_a_batch_of_which_nobody_answers_is_stalled_and_no_consolidation_failed(night, caplog):
    night.workers.away = set(PLAYERS)
    started = night.requested()
    entry = night.runner().run(started)
    assert (entry.state, entry.reason) == (BatchState.STALLED, "nothing was staged; 3 of 3 players gave no answer")
    assert "FAILED" not in caplog.text
    night.workers.away = set()
    assert night.runner().run(night.runner().resume(started.run.batch_id)).state is BatchState.CONSOLIDATED


def test_a_player_whose_answer_was_lost_after_staging_is_adopted_at_once(night):
    night.workers.mute = {"bob"}
    entry = night.runner().run(night.requested())
    assert (entry.state, is_conserved(entry)) == (BatchState.CONSOLIDATED, True)
    assert night.outcomes(entry.batch_id) == dict.fromkeys(PLAYERS, "staged")


def test_a_player_who_is_not_eligible_any_more_is_not_generated_when_the_batch_is_resumed(night):
    night.workers.away = {"bob"}
    started = night.requested()
    night.runner().run(started)
    rows = [row for row in night.project.rows(CONTEXT_TABLE) if row["player_lookup"] != "bob"]
    night.project.tables[CONTEXT_TABLE].set_rows(rows, night.clock.now())
    night.workers.asked = []
    entry = night.runner().run(night.runner().resume(started.run.batch_id))
    assert (entry.state, entry.details["outcomes"]) == (BatchState.CONSOLIDATED, count(staged=2, not_generated=1))
    assert (night.workers.asked, is_conserved(entry)) == ([], True)


def test_a_resume_when_nobody_is_eligible_any_more_consolidates_what_is_staged(night):
    started = night.requested()
    with suppress(ProcessKilled):
        night.runner(kill_at("outcomes", "job")).run(started)
    night.project.tables[CONTEXT_TABLE].set_rows([], night.clock.now())
    night.project.tables[CONTEXT_TABLE].touch(night.clock.now())
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    entry = night.runner().run(night.runner().resume(started.run.batch_id))
    assert (entry.state, night.active_players()) == (BatchState.CONSOLIDATED, ALL_ACTIVE)


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", BatchState)
def test_only_a_batch_that_stopped_is_resumed(night, state):
    started = night.requested()
    entry = replace(started.entry, state=state, sequence=2)
    Ledger(night.clients()).append_state(entry)
    running = {BatchState.REQUESTED, BatchState.RUNNING, BatchState.CONSOLIDATING}
    if state in {BatchState.STAGED, BatchState.STALLED, BatchState.CONSOLIDATION_FAILED, BatchState.STOPPED}:
        resumed = night.runner().resume(entry.batch_id)
        assert [row["player_lookup"] for row in resumed.run.players] == list(PLAYERS)
        assert (resumed.entry.state, resumed.entry.sequence, resumed.entry.activation) == (BatchState.RUNNING, 3, 3)
        return
    with pytest.raises(BatchAlreadyRunning if state in running else WrongBatchState):
        night.runner().resume(entry.batch_id)
    assert len(night.states(entry.batch_id)) == 2


def test_an_unknown_batch_is_not_resumed_or_stopped(night):
    for batch_id in ("batch_2025-12-29_1767077100000", "fallback_1767077100000"):
        for verb in (night.runner().resume, night.runner().request_stop):
            with pytest.raises(InvalidInput, match=r"has no batch|is not a batch id"):
                verb(batch_id)


def test_of_eight_resumes_at_once_one_runs(night):
    batch_id = stalled_batch(night)
    resumed: list[Activation] = []
    refused: list[str] = []

    def resume(number):
        def let_the_next_go_first(call, phase, _subject):
            if (call, phase) == ("INSERT", "before") and len(refused) + len(resumed) == 0 and number < 8:
                resume(number + 1)

        try:
            resumed.append(night.runner(let_the_next_go_first, f"coordinator-{number}").resume(batch_id))
        except StateAlreadyRecorded as error:
            refused.append(str(error))

    resume(1)
    assert (len(resumed), len(refused)) == (1, 7)
    assert all("coordinator-8 recorded “running” first" in text for text in refused)
    assert night.runner(name="coordinator-8").run(resumed[0]).state is BatchState.CONSOLIDATED
    assert night.active_players() == ALL_ACTIVE


def stalled_batch(night) -> str:
    started = night.requested()
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    return str(started.run.batch_id)


def test_a_batch_is_not_resumed_while_another_of_its_date_runs(night):
    batch_id = stalled_batch(night)
    running = night.requested()
    with pytest.raises(BatchAlreadyRunning, match=running.run.batch_id):
        night.runner().resume(batch_id)
    night.runner().run(running)
    night.runner().resume(batch_id)


def test_players_whose_tables_were_dropped_are_asked_again(night):
    started = night.requested()
    with suppress(ProcessKilled):
        night.runner(kill_at("copy", "job")).run(started)
    night.clients().bigquery.delete_table(night.staging_tables()[0])  # ann's, of an operator who typed its name
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    assert [row["player_lookup"] for row in night.runner().resume(started.run.batch_id).run.players] == ["ann"]


def test_a_batch_that_died_before_the_cleanup_is_consolidated_and_its_tables_are_proven_merged(night):
    started = night.requested()

    def die_at_the_first_drop(call, phase, subject):
        if (call, phase) == ("tables.delete", "before") and "_staging_" in str(subject):
            raise ProcessKilled

    with suppress(ProcessKilled):
        night.runner(die_at_the_first_drop).run(started)
    entry = night.record(started.run.batch_id)
    assert (entry.state, is_conserved(entry), entry.active_rows) == (BatchState.CONSOLIDATED, True, 75)
    proofs = read_proofs(night.clients(), [t.partition(".")[2] for t in night.staging_tables() if "_staging_" in t])
    assert [proof.merged for proof in proofs.proofs] == [True] * len(proofs.proofs) != []
    night.clock.sleep(1)  # the lease was released
    warehouse = BigQueryWarehouse(night.clients())
    assert Consolidator(warehouse, "watchdog").consolidate(entry.batch_id, NIGHT).unchanged == 75
    assert (night.active_players(), night.staging_tables()) == (ALL_ACTIVE, [])


def test_a_resume_keeps_the_minutes_that_the_run_was_started_with(night):
    night.project.tables[CONTEXT_TABLE].set_rows(
        [{**row, "avg_minutes_per_game_last_7": 10} for row in night.project.rows(CONTEXT_TABLE)], night.clock.now()
    )
    run = plan_run(night.clients(), NIGHT, min_minutes=5)
    assert run is not None
    night.runner().record_requested(run)
    night.clock.sleep(STALL_TIMEOUT.total_seconds() + 1)
    assert len(night.runner().resume(run.batch_id).run.players) == 3


# --- progress ---------------------------------------------------------------------------------------------------------


def test_a_long_run_is_never_seen_as_stalled(night):
    started = night.requested()
    seen = []

    def take_long(_player):
        seen.append(night.record(started.run.batch_id).state)
        night.clock.sleep(STALL_TIMEOUT.total_seconds() - 60)
        seen.append(night.record(started.run.batch_id).state)

    night.workers.before = take_long
    entry = night.runner().run(started)
    assert set(seen) == {BatchState.RUNNING}
    assert entry.state is BatchState.CONSOLIDATED
    assert night.states(entry.batch_id) == [*TO_THE_END[:2], "running", "running", "running", *TO_THE_END[2:]]


def test_progress_is_recorded_at_most_once_a_minute_with_the_outcomes_so_far(night):
    started = night.requested()
    night.workers.before = lambda _player: night.clock.sleep(PROGRESS_INTERVAL.total_seconds() / 2 + 1)
    night.runner().run(started)
    progress = [row for row in night.project.rows("prediction_on_call.batches") if row["state"] == "running"]
    assert [row["details"].get("outcomes") for row in progress] == [None, {"staged": 2}]
    assert progress[1]["reason"] == "3 players asked, 1 at once"


def test_progress_that_cannot_be_recorded_stops_nothing(night, caplog):
    started = night.requested()
    attempts = []

    def hook(call, phase, _subject):
        if (call, phase) == ("INSERT", "before") and night.states(started.run.batch_id)[-1] == "running":
            attempts.append(night.clock.now())
            if len(night.workers.asked_once) < 3:
                raise Forbidden("no", errors=[{"reason": "accessDenied"}])

    night.workers.before = lambda _player: night.clock.sleep(40)
    assert night.runner(hook).run(started).state is BatchState.CONSOLIDATED
    assert "progress of batch" in caplog.text


def test_a_run_that_was_taken_over_asks_nobody(night):
    started = night.requested()

    def take_over(player):
        night.clock.sleep(PROGRESS_INTERVAL.total_seconds())
        if player == "ann":
            running = night.record(started.run.batch_id)
            Ledger(night.clients()).append_state(replace(running, sequence=3, holder="another instance"))

    night.workers.before = take_over
    night.runner().run(started)
    assert night.workers.asked_once == ["ann"]
    latest = night.record(started.run.batch_id)
    assert (latest.state, latest.sequence, latest.holder) == (BatchState.RUNNING, 3, "another instance")


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_a_stopped_run_asks_nobody_and_is_resumed(night):
    started = night.requested()
    batch_id = started.run.batch_id

    def stop_at_bob(player):
        night.clock.sleep(1)
        if player == "bob":
            for name in ("coordinator-b", "coordinator-c"):  # executed once, however many ask
                assert night.runner(name=name).request_stop(batch_id).batch_id == batch_id
            assert night.runner().is_stopping(night.record(batch_id))
        night.clock.sleep(1)

    night.workers.before = stop_at_bob
    entry = night.runner().run(started)
    assert (entry.state, night.workers.asked_once) == (BatchState.STOPPED, ["ann", "bob"])
    assert entry.reason == "stopped on request: 2 of 3 players staged, 1 not requested"
    assert (len(night.staging_tables()), night.active_players()) == (2, {}), "what is staged stays"
    assert not night.runner().is_stopping(entry)
    with pytest.raises(WrongBatchState, match="is stopped"):
        night.runner().request_stop(batch_id)
    night.workers.asked.clear()
    entry = night.runner().run(night.runner().resume(batch_id))
    assert (entry.state, night.workers.asked, is_conserved(entry)) == (BatchState.CONSOLIDATED, ["cid"], True)
    assert night.active_players() == ALL_ACTIVE


def test_after_a_stop_a_new_run_of_the_date_may_start(night):
    started = night.requested()
    night.runner().request_stop(started.run.batch_id)
    assert night.runner().run(started).state is BatchState.STOPPED
    assert night.workers.asked == []
    assert night.runner().run(night.requested()).state is BatchState.CONSOLIDATED


def test_a_stop_after_the_last_player_is_refused(night):
    started = night.requested()

    def stop_when_staged(_call, phase, subject):
        if phase == "before" or "-3-" not in str(getattr(subject, "job_id", "")):
            return
        if phase == "job":  # the dispatch has ended, and the ledger still says “running”
            with pytest.raises(WrongBatchState, match="have been asked"):
                night.runner(name="b").request_stop(started.run.batch_id)

    entry = night.runner(stop_when_staged).run(started)
    assert entry.state is BatchState.CONSOLIDATED


@pytest.mark.parametrize("state", sorted(set(BatchState) - {BatchState.REQUESTED, BatchState.RUNNING}))
def test_a_batch_that_asks_no_players_cannot_be_stopped(night, state):
    started = night.requested()
    Ledger(night.clients()).append_state(replace(started.entry, state=state, sequence=2))
    with pytest.raises(WrongBatchState, match=f"is {state}, so it asks no players"):
        night.runner().request_stop(started.run.batch_id)
    assert not any("stop" in job_id for job_id in night.project.jobs)


# --- consolidating ----------------------------------------------------------------------------------------------------


def hold_lease(night) -> leases.Lease:
    return leases.acquire(BigQueryWarehouse(night.clients()), NIGHT, "the dashboard")


def test_a_consolidation_waits_for_another_of_its_date(night):
    lease = hold_lease(night)
    started, began = night.requested(), night.clock.now()
    seen = []

    def release_after_a_while():
        seen.append(night.record(started.run.batch_id))
        if night.clock.now() - began > timedelta(minutes=5):
            night.clock.on_sleep = None
            leases.release(BigQueryWarehouse(night.clients()), lease)

    night.clock.on_sleep = release_after_a_while
    entry = night.runner().run(started)
    assert entry.state is BatchState.CONSOLIDATED
    assert seen[-1].state is BatchState.CONSOLIDATING
    assert seen[-1].reason.startswith("the-dashboard consolidates 2025-12-29")
    assert night.states(entry.batch_id).count("consolidating") <= 7


def test_a_lease_that_is_held_for_long_postpones_the_consolidation_and_is_no_failure_of_the_batch(night, caplog):
    lease = hold_lease(night)
    night.clock.on_sleep = lambda: leases.renew(BigQueryWarehouse(night.clients()), lease)
    started = night.requested()
    entry = night.runner().run(started)
    assert (entry.state, "consolidates 2025-12-29" in entry.reason) == (BatchState.STALLED, True)
    assert "Consolidation postponed" in caplog.text
    assert "Consolidation FAILED" not in caplog.text
    night.clock.on_sleep = None
    leases.release(BigQueryWarehouse(night.clients()), lease)
    assert night.runner().run(night.runner().resume(entry.batch_id)).state is BatchState.CONSOLIDATED


def test_a_failed_consolidation_is_one_and_a_failed_dispatch_is_not(night, caplog, monkeypatch):
    started = night.requested()
    entry = night.runner(fail_queries("copy")).run(started)
    assert entry.state is BatchState.CONSOLIDATION_FAILED
    assert f"Consolidation FAILED: Forbidden: 403 no (batch={entry.batch_id})" in caplog.text
    assert len(night.staging_tables()) == 3
    caplog.clear()

    def no_endpoint(*_):
        raise OnCallError("Cloud Run does not answer.")

    monkeypatch.setattr("services.pipeline.coordinator.batch_runner.get_worker_endpoint", no_endpoint)
    second = night.runner().run(night.requested())
    assert (second.state, second.reason) == (BatchState.STALLED, "Cloud Run does not answer.")
    assert f"Dispatch FAILED: Cloud Run does not answer. (batch={second.batch_id})" in caplog.text
    assert "Consolidation" not in caplog.text
