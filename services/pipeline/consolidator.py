"""Consolidates staged units into the predictions table: manifest, copy, one MERGE under the date's lease, proof, then cleanup.

    manifest    the batch's unit tables as listed: names, rows, columns
    compact     copy jobs (free, up to 1,200 sources each) bring them into one table; its rows must equal the manifest's
    MERGE       one statement, under the fence of the game date
    proof       every staged key is in the table; no key has two active rows; the sums hold
    cleanup     exactly the manifest's tables and the compact one; a table that came later is left for the next round

Whatever dies between two steps can be repeated: every job id is deterministic, and a MERGE of rows that are there changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TypeVar

from services.batches.business_key import BusinessKey
from services.batches.ids import (
    compact_table,
    is_compact_table,
    is_unit_table,
    make_job_id,
    staging_prefix,
)
from services.core.errors import OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.retry import RetryPolicy, call_with_retry, is_transient
from services.pipeline import lease as leases
from services.pipeline.job_retry import run_job_with_retry
from services.pipeline.warehouse import JobFailed, StagingTableInfo, Warehouse

T = TypeVar("T")

SOURCES_PER_COPY = 1_200
DROP_THREADS = 8
ActiveFlagsByKey = Mapping[BusinessKey, Sequence[bool]]


class NothingStaged(OnCallError):
    """The batch has no staging table, so there is nothing to consolidate."""


class EmptyStaging(OnCallError):
    """The batch's staging tables hold no rows: something produced nothing."""


class SchemaDrift(OnCallError):
    """Staging tables of one batch differ in their columns."""


class RowCountMismatch(OnCallError):
    """The numbers do not add up; nothing was cleaned up."""


@dataclass(frozen=True)
class ConsolidationResult:
    """The sums of one consolidation: staged = distinct + collapsed; distinct = inserted + updated + unchanged."""

    batch_id: str
    game_date: date
    tables: tuple[str, ...]
    staged_rows: int
    distinct_keys: int
    collapsed_rows: int
    inserted: int
    updated: int
    unchanged: int
    deactivated: int
    merge_job_id: str
    fence: int
    late_tables: int


class Consolidator:
    """Consolidates batches; `holder` is the name under which it takes the lease."""

    def __init__(
        self, warehouse: Warehouse, holder: str, retry: RetryPolicy | None = None, drop_threads: int = DROP_THREADS
    ) -> None:
        self._warehouse, self._holder = warehouse, holder
        self._retry, self._drop_threads = retry or RetryPolicy(), drop_threads

    def consolidate(self, batch_id: str, game_date: date) -> ConsolidationResult:
        """Merge every staged unit of a batch into the predictions table; raises LeaseHeld or another OnCallError, with all tables kept.

        A MERGE that BigQuery refused for a transient reason is retried under a new fence: its job id is used up.
        """
        attempt = 1
        while True:
            try:
                return self._attempt(batch_id, game_date)
            except JobFailed as error:
                if attempt > self._retry.retries or not is_transient(error):
                    raise
                self._retry.sleep(self._retry.backoff_s(attempt))
                attempt += 1

    def _attempt(self, batch_id: str, game_date: date) -> ConsolidationResult:
        holder = f"{self._holder}-{secrets.token_hex(4)}"
        lease = self._retry_call(lambda: leases.acquire(self._warehouse, game_date, holder))
        try:
            return self._consolidate_with_lease(lease, batch_id, game_date)
        finally:
            self._retry_call(lambda: leases.release(self._warehouse, lease))

    def _consolidate_with_lease(self, lease: leases.Lease, batch_id: str, game_date: date) -> ConsolidationResult:
        manifest = self._build_manifest(batch_id)
        source = self._compact(batch_id, lease.fence, manifest)
        before = self._read_keys(PREDICTIONS_TABLE, game_date)
        staged = self._read_keys(source, game_date)
        merged_at = self._warehouse.now()
        merge_result = self._retry_call(
            lambda: self._warehouse.merge(source, game_date, lease.merge_job_id, merged_at), JobFailed
        )
        after = self._read_keys(PREDICTIONS_TABLE, game_date)
        result = _verify_counts(lease, batch_id, manifest, before, staged, after, merge_result.affected_rows)
        return replace(result, late_tables=self._cleanup(batch_id, manifest))

    def _build_manifest(self, batch_id: str) -> tuple[StagingTableInfo, ...]:
        staging_tables = self._retry_call(lambda: self._warehouse.list_staging_tables(staging_prefix(batch_id)))
        units = tuple(table for table in staging_tables if is_unit_table(table.table, batch_id))
        if not units:
            raise NothingStaged(f"{batch_id} has no staging table, so there is nothing to consolidate.")
        if not any(table.rows for table in units):
            raise EmptyStaging(
                f"The {len(units)} staging tables of {batch_id} hold no rows; they are kept.",
                "Look at the workers' logs.",
            )
        drifted = [table for table in units if table.columns != units[0].columns]
        if drifted:
            raise SchemaDrift(
                f"{len(drifted)} of {len(units)} staging tables of {batch_id} have other columns than {units[0].table}"
                f" ({_describe_schema_difference(units[0], drifted[0])}); all are kept.",
                "Re-run the players of the drifted tables with one worker revision.",
            )
        return units

    def _compact(self, batch_id: str, fence: int, manifest: tuple[StagingTableInfo, ...]) -> str:
        """One table with every row of the manifest. It is named by the fence, so no other attempt ever touches it."""
        target = compact_table(batch_id, fence)
        rows = 0
        for i in range(0, len(manifest), SOURCES_PER_COPY):
            sources = [table.table for table in manifest[i : i + SOURCES_PER_COPY]]
            job_id = make_job_id("copy", batch_id, fence, i // SOURCES_PER_COPY)
            rows = run_job_with_retry(self._retry, job_id, partial(self._warehouse.copy, sources, target))
        expected = sum(table.rows for table in manifest)
        if rows != expected:
            raise RowCountMismatch(
                f"{target} holds {rows} rows, the {len(manifest)} tables of {batch_id} hold {expected}; all are kept."
            )
        return target

    def _read_keys(self, table: str, game_date: date) -> ActiveFlagsByKey:
        return self._retry_call(lambda: self._warehouse.read_keys(table, game_date))

    def _cleanup(self, batch_id: str, manifest: tuple[StagingTableInfo, ...]) -> int:
        """Drop what is proven to be merged; returns how many tables of the batch remain because they came or changed later."""
        self._parallel(manifest, lambda t: self._retry_call(partial(self._warehouse.drop, t.table, t.version)))
        remaining = self._retry_call(lambda: self._warehouse.list_staging_tables(staging_prefix(batch_id)))
        for table in remaining:
            if is_compact_table(table.table, batch_id):
                self._retry_call(partial(self._warehouse.drop, table.table))
        return sum(is_unit_table(table.table, batch_id) for table in remaining)

    def _parallel(self, tables: Sequence[StagingTableInfo], work: Callable[[StagingTableInfo], object]) -> None:
        """`work` on every table, several concurrently."""
        if self._drop_threads == 1:
            for table in tables:
                work(table)
            return
        with ThreadPoolExecutor(self._drop_threads) as pool:
            list(pool.map(work, tables))

    def _retry_call(self, work: Callable[[], T], *no_retry_on: type[Exception]) -> T:
        """`work`, retried where its error is transient; an error of `no_retry_on` is raised immediately."""

        def attempt() -> T | Exception:
            try:
                return work()
            except no_retry_on as error:
                return error

        result = call_with_retry(self._retry, attempt)
        if isinstance(result, Exception):
            raise result
        return result


def _verify_counts(
    lease: leases.Lease,
    batch_id: str,
    manifest: tuple[StagingTableInfo, ...],
    before: ActiveFlagsByKey,
    staged: ActiveFlagsByKey,
    after: ActiveFlagsByKey,
    affected_rows: int,
) -> ConsolidationResult:
    """Prove the MERGE from the keys before, staged and after; raises RowCountMismatch with the numbers."""
    missing_keys = [key for key in staged if key not in after]
    duplicate_keys = duplicate_active_keys(after, staged)
    inserted = sum(key not in before for key in staged)
    touched_players = {key.player_system for key in staged}
    deactivated = sum(
        sum(active_flags)
        for key, active_flags in before.items()
        if key.player_system in touched_players and key not in staged
    )
    updated = affected_rows - inserted - deactivated
    staged_rows = sum(table.rows for table in manifest)
    unchanged = len(staged) - inserted - updated
    if missing_keys or duplicate_keys or updated < 0 or unchanged < 0:
        raise RowCountMismatch(
            f"After the MERGE of {batch_id}: {len(missing_keys)} of {len(staged)} staged keys are not in the table,"
            f" {len(duplicate_keys)} keys are active twice, {affected_rows} rows changed for {inserted} new"
            f" and {deactivated} retired; all tables are kept."
        )
    return ConsolidationResult(
        batch_id=batch_id,
        game_date=lease.game_date,
        tables=tuple(table.table for table in manifest),
        staged_rows=staged_rows,
        distinct_keys=len(staged),
        collapsed_rows=staged_rows - len(staged),
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        deactivated=deactivated,
        merge_job_id=lease.merge_job_id,
        fence=lease.fence,
        late_tables=0,
    )


def duplicate_active_keys(keys: ActiveFlagsByKey, among: Iterable[BusinessKey] | None = None) -> list[BusinessKey]:
    """Business keys with more than one active row."""
    return [key for key in (keys if among is None else among) if sum(keys.get(key, ())) > 1]


def _describe_schema_difference(expected: StagingTableInfo, actual: StagingTableInfo) -> str:
    differing = sorted({n for n, _ in expected.columns} ^ {n for n, _ in actual.columns})
    return f"differing in {', '.join(differing)}" if differing else "differing in a column's type"
