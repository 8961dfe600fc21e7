"""One run from request to proof: dispatch to the workers, consolidate what they staged, verify, and record every step."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce

from services.batches.closing import ADDED_SUMS, close, with_production
from services.batches.ids import parse_batch_date
from services.batches.ledger import (
    NOT_ASKED,
    UNANSWERED_OUTCOMES,
    BatchRecord,
    Ledger,
    PlayerOutcome,
    StateAlreadyRecorded,
    count_outcomes,
    rows_by_table,
)
from services.batches.state import IN_PROGRESS_STATES, RESUMABLE_STATES, STOPPABLE_STATES, BatchState
from services.core.errors import InvalidInput, OnCallError
from services.core.process_id import holder_id
from services.core.settings import ServerSettings
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy
from services.pipeline.consolidator import ConsolidationResult, Consolidator, sum_results
from services.pipeline.coordinator.batch_tracker import BatchTracker
from services.pipeline.coordinator.dispatcher import dispatch, get_worker_endpoint
from services.pipeline.coordinator.resume import Activation, WrongBatchState, adopt_staged, plan_resume
from services.pipeline.coordinator.run_request import Run, initial_record
from services.pipeline.coordinator.stop import StopSignal, is_stop_requested, request_stop
from services.pipeline.lease import LEASE_TTL, LeaseHeld
from services.pipeline.manifest import NothingStaged
from services.pipeline.warehouse import BigQueryWarehouse, LeaseLost
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig

logger = logging.getLogger("coordinator")
MAX_ROUNDS = 3  # consolidations of one batch, when tables keep coming late
LEASE_POLL_S = 5.0
OnMerged = Callable[[ConsolidationResult], None]
MAX_LEASE_WAIT_S = 1.5 * LEASE_TTL.total_seconds()  # a holder that died is taken over within its life


class BatchAlreadyRunning(OnCallError):
    """A batch of this date is running."""

    def __init__(self, entry: BatchRecord) -> None:
        self.entry = entry
        super().__init__(
            f"{entry.batch_id} is {entry.state} for {entry.game_date}.",
            "Wait for it, or resume it when it has stalled.",
        )


class BatchRunner:
    """Runs batches of one project; its state is in the ledger, so another instance can continue where it stopped."""

    def __init__(self, clients: Clients, retry: RetryPolicy | None = None) -> None:
        healing = SelfHealingConfig.from_env()
        self._clients = clients
        self._retry = retry or RetryPolicy(retries=healing.dml_max_retries if healing.dml_backoff_enabled else 0)
        self.instance_id = holder_id(ServerSettings.from_env().revision or "coordinator")
        self._ledger, self._warehouse = Ledger(clients, self._retry), BigQueryWarehouse(clients)
        self.progress: dict[str, Counter[str]] = {}  # players by outcome, of the batches that this process dispatches

    # --- starting, resuming and stopping -------------------------------------------------------------------------------

    def record_requested(self, run: Run) -> Activation:
        """Record a batch as requested, so that a resume can finish it; raises BatchAlreadyRunning with the running batch.

        The batch takes the number of its date's next start. Another process that takes it first has a batch in the ledger.
        """
        entry, number = initial_record(run, self.instance_id), 0
        while True:
            batches = self._ledger.batches_of(run.game_date)
            _check_none_runs(batches)
            number = max(number, len(batches)) + 1
            if self._ledger.append_start(entry, number):
                break
        started_by = run.started_by or "unknown"
        logger.info("Starting prediction batch for %s (batch=%s, by=%s)", run.game_date, run.batch_id, started_by)
        return Activation(run, entry)

    def resume(self, batch_id: str) -> Activation:
        """The remaining run of a batch that stopped, recorded as running again.

        Raises InvalidInput for an unknown batch, WrongBatchState or StateAlreadyRecorded when it is not this process's to resume.
        """
        entry = self._read_entry(batch_id)
        if entry.state in IN_PROGRESS_STATES - RESUMABLE_STATES:
            raise BatchAlreadyRunning(entry)
        if entry.state not in RESUMABLE_STATES:
            raise WrongBatchState(entry, f"{batch_id} is {entry.state}, so there is nothing to resume.")
        _check_none_runs(e for e in self._ledger.batches_of(entry.game_date) if e.batch_id != batch_id)
        outcomes = self._ledger.player_outcomes(batch_id, entry.game_date)
        plan = plan_resume(self._clients, self._warehouse, entry, outcomes)
        tracker = BatchTracker(self._clients, self._ledger, self.instance_id, entry)
        staged = sum(outcome.staged for outcome in plan.known.values())
        reason = f"resumed: {staged} players staged before, {len(plan.run.players)} asked again"
        details = {**entry.details, "activation": entry.sequence + 1}
        tracker.advance(replace(entry, state=BatchState.RUNNING, reason=reason, details=details))
        return replace(plan, entry=tracker.entry)

    def request_stop(self, batch_id: str) -> BatchRecord:
        """Request that a running batch, in whatever process it is, ask no further player; raises WrongBatchState when it is too late."""
        entry = self._read_entry(batch_id)
        if entry.state not in STOPPABLE_STATES:
            raise WrongBatchState(entry, f"{batch_id} is {entry.state}, so it asks no players that could be stopped.")
        if not request_stop(self._warehouse, entry):
            raise WrongBatchState(entry, f"All players of {batch_id} have been asked, so there is nothing to stop.")
        logger.info("Stop requested (batch=%s)", batch_id)
        return entry

    def is_stopping(self, entry: BatchRecord) -> bool:
        """Whether a stop of the batch was requested and it has not stopped yet."""
        return entry.state in STOPPABLE_STATES and is_stop_requested(self._warehouse, entry)

    def _read_entry(self, batch_id: str) -> BatchRecord:
        try:
            game_date = parse_batch_date(batch_id)
        except ValueError as error:
            raise InvalidInput(f"{error}.", "Take it from the runs page.") from None
        if (entry := self._ledger.latest(batch_id, game_date)) is None:
            raise InvalidInput(
                f"The ledger has no batch {batch_id}.", "A batch of another coordinator cannot be continued here."
            )
        return entry

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, activation: Activation) -> BatchRecord:
        """From requested to consolidated; any failure ends in a named state with its reason, and every staged row stays."""
        tracker = BatchTracker(self._clients, self._ledger, self.instance_id, activation.entry)
        try:
            outcomes = self._dispatch(activation, tracker)
            if tracker.entry.state is BatchState.STAGED:
                self._consolidate(tracker, outcomes)
        except StateAlreadyRecorded as error:
            logger.error("Batch %s is run by another instance: %s", tracker.entry.batch_id, error)
        except Exception as error:
            logger.exception("Batch %s failed", tracker.entry.batch_id)
            self._record_failure(tracker, error)
        finally:
            self.progress.pop(tracker.entry.batch_id, None)
        return tracker.entry

    def _record_failure(self, tracker: BatchTracker, error: Exception) -> None:
        """The state that an error leaves the batch in; the ledger may be what failed, so the log has it in any case."""
        if tracker.entry.state not in IN_PROGRESS_STATES:
            logger.exception("Cleanup FAILED: merged staging tables are left (batch=%s)", tracker.entry.batch_id)
            return
        reason = (str(error) if isinstance(error, OnCallError) else f"{type(error).__name__}: {error}")[:1000]
        state, step = BatchState.STALLED, "Dispatch FAILED"
        if tracker.entry.state is BatchState.CONSOLIDATING and isinstance(error, LeaseHeld | LeaseLost):
            step = "Consolidation postponed"
        elif tracker.entry.state is BatchState.CONSOLIDATING:
            state, step = BatchState.CONSOLIDATION_FAILED, "Consolidation FAILED"
        logger.error("%s: %s (batch=%s)", step, reason, tracker.entry.batch_id)
        try:
            tracker.reread()
            tracker.advance(replace(tracker.entry, state=state, reason=reason))
        except Exception:  # nobody is left to handle it: the batch is seen as stalled
            logger.exception("The state of batch %s could not be recorded: %s", tracker.entry.batch_id, state)

    def _dispatch(self, activation: Activation, tracker: BatchTracker) -> Mapping[str, PlayerOutcome]:
        """Ask the workers for every player; each player's outcome, recorded, and the batch staged or stopped."""
        run, batch_id = activation.run, activation.run.batch_id
        endpoint = get_worker_endpoint(self._clients, WorkerConcurrencyConfig.from_env().max_parallel_requests)
        asked = f"{len(run.players)} players asked, {endpoint.max_parallel_requests} at once"
        tracker.advance(replace(tracker.entry, state=BatchState.RUNNING, reason=asked))
        logger.info("Published %d/%d prediction requests [batch=%s]", len(run.players), len(run.players), batch_id)
        stop = StopSignal(self._warehouse, tracker.entry)
        counts = self.progress[batch_id] = Counter(outcome.outcome for outcome in activation.known.values())

        def on_outcome(outcome: PlayerOutcome) -> None:
            counts.update([outcome.outcome])
            tracker.record_progress(counts, asked)

        answered = dispatch(
            self._clients,
            endpoint,
            batch_id,
            run.game_date,
            run.players,
            self._retry,
            on_outcome,
            should_stop=lambda: tracker.superseded is not None or stop(),
            pace=self._warehouse.pace_load,
        )
        new = {outcome.player_lookup: outcome for outcome in answered}
        unanswered = [name for name, outcome in new.items() if outcome.outcome in UNANSWERED_OUTCOMES]
        if unanswered:  # the answer may have been lost after the rows were staged
            new |= {outcome.player_lookup: outcome for outcome in adopt_staged(self._warehouse, batch_id, unanswered)}
        self._ledger.append_outcomes(batch_id, run.game_date, [*activation.unrecorded, *new.values()])
        outcomes = {**activation.known, **new}
        if tracker.superseded is not None:
            raise tracker.superseded
        self._record_dispatched(tracker, outcomes, stopped=stop.close())
        return outcomes

    def _record_dispatched(
        self, tracker: BatchTracker, outcomes: Mapping[str, PlayerOutcome], *, stopped: bool
    ) -> None:
        players = tracker.entry.players
        staged = f"{sum(outcome.staged for outcome in outcomes.values())} of {len(players)} players staged"
        not_asked, counts = sum(player not in outcomes for player in players), count_outcomes(outcomes.values())
        dispatched = replace(
            tracker.entry,
            state=BatchState.STOPPED if stopped else BatchState.STAGED,
            reason=f"stopped on request: {staged}, {not_asked} not requested" if stopped else staged,
            details={**tracker.entry.details, "outcomes": counts | ({NOT_ASKED: not_asked} if stopped else {})},
        )
        tracker.advance(with_production(dispatched, outcomes.values()))

    def _consolidate(self, tracker: BatchTracker, outcomes: Mapping[str, PlayerOutcome]) -> None:
        tracker.advance(replace(tracker.entry, state=BatchState.CONSOLIDATING, reason=""))
        merged = (tracker.entry.details.get("consolidated") or {}).get("players", ())
        rounds: list[ConsolidationResult] = []

        def on_merged(result: ConsolidationResult) -> None:
            rounds.append(result)
            if not result.late_tables:
                self._record_consolidated(tracker, outcomes, reduce(sum_results, rounds))

        try:
            self._consolidate_until_done(tracker, rows_by_table(outcomes.values()), on_merged)
        except NothingStaged:
            if any(outcome.staged and name not in merged for name, outcome in outcomes.items()):
                raise
            tracker.advance(close(tracker.entry, outcomes, {}, {}))
            logger.warning("Nothing was consolidated: %s (batch=%s)", tracker.entry.reason, tracker.entry.batch_id)

    def _record_consolidated(
        self, tracker: BatchTracker, outcomes: Mapping[str, PlayerOutcome], result: ConsolidationResult
    ) -> None:
        """The merged rows are proven; their staging tables are still there, so that a failure here loses nothing."""
        logger.info(
            "Consolidation SUCCESS: %d rows merged from %d staging tables (batch=%s)",
            result.distinct_keys,
            len(result.tables),
            tracker.entry.batch_id,
        )
        facts = {name: getattr(result, name) for name in ("merge_job_id", "fence", "active_players", "active_rows")}
        sums = {name: getattr(result, name) for name in ADDED_SUMS}
        tracker.advance(close(tracker.entry, outcomes, sums, facts))
        if result.active_players is not None:
            _log_coverage(tracker.entry, result.active_players)

    def _consolidate_until_done(
        self, tracker: BatchTracker, verified_rows: Mapping[str, int], on_merged: OnMerged
    ) -> None:
        """Consolidate; and again while tables of the batch came too late for the round before, until `on_merged` has recorded the end."""
        for _ in range(MAX_ROUNDS):
            logger.info("Executing consolidation MERGE for batch=%s", tracker.entry.batch_id)
            late_tables = self._consolidate_when_free(tracker, verified_rows, on_merged).late_tables
            if tracker.entry.state is not BatchState.CONSOLIDATING:
                return
        raise OnCallError(
            f"{late_tables} staging tables of {tracker.entry.batch_id} keep changing; they are kept.",
            "Look at the workers, then consolidate again.",
        )

    def _consolidate_when_free(
        self, tracker: BatchTracker, verified_rows: Mapping[str, int], on_merged: OnMerged
    ) -> ConsolidationResult:
        """Consolidate once, when no other consolidation of the date is under way; raises LeaseHeld when that takes too long."""

        def record_progress(reason: str = "") -> None:
            tracker.record_progress(tracker.entry.outcome_counts or {}, reason)

        consolidator, waited_s = Consolidator(self._warehouse, self.instance_id, self._retry, record_progress), 0.0
        while True:
            try:
                return consolidator.consolidate(
                    tracker.entry.batch_id, tracker.entry.game_date, verified_rows, on_merged
                )
            except (LeaseHeld, LeaseLost) as error:
                if waited_s >= MAX_LEASE_WAIT_S:
                    raise
                record_progress(str(error))
                if tracker.superseded is not None:
                    raise tracker.superseded from error
            self._retry.sleep(LEASE_POLL_S)
            waited_s += LEASE_POLL_S


def _log_coverage(entry: BatchRecord, players: int) -> None:
    eligible = entry.eligible or 0
    logger.info(
        "Coverage check for %s: %d/%d (%.1f%%) - Missing: %d (batch=%s)",
        entry.game_date,
        players,
        eligible,
        100 * players / eligible if eligible else 0,
        eligible - players,
        entry.batch_id,
    )


def _check_none_runs(batches: Iterable[BatchRecord]) -> None:
    """Raises BatchAlreadyRunning when a batch of them is in progress."""
    for entry in batches:
        if entry.state in IN_PROGRESS_STATES:
            raise BatchAlreadyRunning(entry)
