"""One run from request to proof: dispatch to the workers, consolidate what they staged, verify, and record every step."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

from services.batches.ledger import BatchRecord, Ledger, StateAlreadyRecorded
from services.batches.reader import Batch, read_batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.core.process_id import holder_id
from services.core.settings import ServerSettings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy
from services.pipeline.consolidator import ConsolidationResult, Consolidator
from services.pipeline.coordinator.dispatcher import dispatch, get_worker_endpoint
from services.pipeline.coordinator.resume import plan_resume
from services.pipeline.coordinator.run_request import Run, initial_record
from services.pipeline.warehouse import BigQueryWarehouse
from services.policy.concurrency_config import SelfHealingConfig, WorkerConcurrencyConfig

logger = logging.getLogger("coordinator")
MAX_ROUNDS = 3  # consolidations of one batch, when tables keep coming late


class BatchAlreadyRunning(OnCallError):
    """A batch of this date is running."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        super().__init__(
            f"{batch.batch_id} is {batch.state} for {batch.game_date}.",
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
        self._start_lock = threading.Lock()
        self.progress: dict[str, Counter[str]] = {}

    # --- starting -----------------------------------------------------------------------------------------------------

    def find_running_batch(self, game_date: date) -> Batch | None:
        """The running batch of a date, if any; one without a ledger entry for STALL_TIMEOUT counts as stalled, not running."""
        running = read_batches(self._clients, game_date).running
        return next((batch for batch in running if batch.record_source == "ledger"), None)

    def record_requested(self, run: Run) -> None:
        """Record a batch as requested, so that a resume can finish it; raises BatchAlreadyRunning with the running batch."""
        with self._start_lock:
            if (running_batch := self.find_running_batch(run.game_date)) is not None:
                raise BatchAlreadyRunning(running_batch)
            self._record(initial_record(run, self.instance_id))
        started_by = run.started_by or "unknown"
        logger.info("Starting prediction batch for %s (batch=%s, by=%s)", run.game_date, run.batch_id, started_by)

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self, run: Run) -> BatchRecord:
        """From requested to consolidated; any failure ends in a named state with its reason, and every staged row stays."""
        entry = self._read_entry(run.batch_id, run.game_date)
        try:
            entry = self._dispatch(run, entry)
            return self._consolidate(entry)
        except StateAlreadyRecorded as error:
            logger.error("Batch %s is run by another instance: %s", run.batch_id, error)
            return self._read_entry(run.batch_id, run.game_date)
        except Exception as error:
            logger.exception("Batch %s stopped", run.batch_id)
            reason = str(error) if isinstance(error, OnCallError) else f"{type(error).__name__}: {error}"
            was_staged = entry.state in (BatchState.STAGED, BatchState.CONSOLIDATING)
            failed_state = BatchState.CONSOLIDATION_FAILED if was_staged else BatchState.STALLED
            latest = self._read_entry(run.batch_id, run.game_date)
            logger.error("Consolidation FAILED: %s (batch=%s)", reason, run.batch_id)
            return self._advance(latest, failed_state, reason=reason[:1000])

    def resume(self, batch_id: str) -> Run:
        """The remaining run of a batch that stopped, recorded as running again; raises InvalidInput for an unknown batch."""
        plan = plan_resume(self._clients, self._ledger, self._warehouse, batch_id)
        self._ledger.append_outcomes(batch_id, plan.run.game_date, plan.unrecorded)
        self._advance(
            plan.entry,
            BatchState.RUNNING,
            reason=f"resumed: {len(plan.adopted)} players adopted from staging, {len(plan.run.players)} asked again",
        )
        return plan.run

    def _dispatch(self, run: Run, entry: BatchRecord) -> BatchRecord:
        endpoint = get_worker_endpoint(self._clients, WorkerConcurrencyConfig.from_env().max_parallel_requests)
        entry = self._advance(
            entry,
            BatchState.RUNNING,
            reason=f"{len(run.players)} players asked, {endpoint.max_parallel_requests} at once",
        )
        logger.info("Published %d/%d prediction requests [batch=%s]", len(run.players), len(run.players), run.batch_id)
        progress = self.progress[run.batch_id] = Counter()
        outcomes = dispatch(
            self._clients,
            endpoint,
            run.batch_id,
            run.game_date,
            run.players,
            self._retry,
            lambda o: progress.update([o.outcome]),
        )
        self._ledger.append_outcomes(run.batch_id, run.game_date, outcomes)
        all_outcomes = {
            **self._ledger.player_outcomes(run.batch_id, run.game_date),
            **{o.player_lookup: o for o in outcomes},
        }
        staged = [o for o in all_outcomes.values() if o.staged]
        return self._advance(
            entry,
            BatchState.STAGED,
            reason=f"{len(staged)} of {len(all_outcomes)} players staged",
            generated=sum(bool(o.produced_rows) for o in all_outcomes.values()),
            produced_rows=sum(o.produced_rows or 0 for o in all_outcomes.values()),
            staged_rows=sum(o.staged_rows or 0 for o in staged),
            staged_tables=len(staged),
        )

    def _consolidate(self, entry: BatchRecord) -> BatchRecord:
        entry = self._advance(entry, BatchState.CONSOLIDATING, reason="")
        result = self._consolidate_until_done(entry)
        players, rows = self._count_active(entry.game_date)
        unstaged_rows = (entry.produced_rows or 0) - (entry.staged_rows or 0)
        reason = (
            f"{unstaged_rows} rows were produced and never staged: resume asks for them again" if unstaged_rows else ""
        )
        logger.info(
            "Consolidation SUCCESS: %d rows merged from %d staging tables", result.distinct_keys, len(result.tables)
        )
        eligible = entry.eligible or 0
        coverage_pct = 100 * players / eligible if eligible else 0
        logger.info(
            "Coverage check for %s: %d/%d (%.1f%%) - Missing: %d",
            entry.game_date,
            players,
            eligible,
            coverage_pct,
            eligible - players,
        )
        return self._advance(
            entry,
            BatchState.CONSOLIDATED,
            reason=reason,
            staged_rows=result.staged_rows,
            distinct_keys=result.distinct_keys,
            collapsed_rows=result.collapsed_rows,
            inserted=result.inserted,
            updated=result.updated,
            unchanged=result.unchanged,
            deactivated=result.deactivated,
            active_players=players,
            active_rows=rows,
            merge_job_id=result.merge_job_id,
            fence=result.fence,
        )

    def _consolidate_until_done(self, entry: BatchRecord) -> ConsolidationResult:
        """Consolidate; and again while tables of the batch came too late for the round before."""
        total: ConsolidationResult | None = None
        for _ in range(MAX_ROUNDS):
            logger.info("Executing consolidation MERGE for batch=%s", entry.batch_id)
            consolidator = Consolidator(self._warehouse, self.instance_id, self._retry)
            result = consolidator.consolidate(entry.batch_id, entry.game_date)
            total = result if total is None else sum_results(total, result)
            if not result.late_tables:
                return total
        raise OnCallError(
            f"{result.late_tables} staging tables of {entry.batch_id} keep changing; they are kept.",
            "Look at the workers, then consolidate again.",
        )

    def _count_active(self, game_date: date) -> tuple[int, int]:
        """Players with an active row, and active rows."""
        flags_by_key = self._warehouse.read_keys(PREDICTIONS_TABLE, game_date)
        active_keys = [key for key, active_flags in flags_by_key.items() if any(active_flags)]
        active_rows = sum(sum(active_flags) for active_flags in flags_by_key.values())
        return len({key.player_lookup for key in active_keys}), active_rows

    # --- the ledger ----------------------------------------------------------------------------------------------------

    def _read_entry(self, batch_id: str, game_date: date) -> BatchRecord:
        entry = self._ledger.latest(batch_id, game_date)
        if entry is None:
            raise OnCallError(f"The ledger has no batch {batch_id}.")
        return entry

    def _advance(self, entry: BatchRecord, state: BatchState, **changes: Any) -> BatchRecord:
        return self._record(
            replace(entry, state=state, sequence=entry.sequence + 1, holder=self.instance_id, **changes)
        )

    def _record(self, entry: BatchRecord) -> BatchRecord:
        self._ledger.append_state(entry)
        return entry


def sum_results(first: ConsolidationResult, second: ConsolidationResult) -> ConsolidationResult:
    """The sums of two rounds of one batch."""
    sums = ("staged_rows", "distinct_keys", "collapsed_rows", "inserted", "updated", "unchanged", "deactivated")
    return replace(
        second,
        tables=first.tables + second.tables,
        **{name: getattr(first, name) + getattr(second, name) for name in sums},
    )
