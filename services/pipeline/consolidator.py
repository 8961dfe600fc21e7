"""Consolidates staged units into the predictions table: manifest, copy, one MERGE under the date's lease, proof, then cleanup.

    manifest    the batch's unit tables as listed, with their rows: of a load that the coordinator saw verified, as answered;
                of any other table, as BigQuery describes it
    compact     copy jobs (free, up to 1,200 sources each) bring them into one table; its rows must equal the manifest's
    MERGE       one statement per game date of the rows, which is one, under the fence of that date
    proof       what was counted before, what BigQuery reports and what is read after agree (merge_counts.py)
    cleanup     exactly the manifest's tables and the compact one; a table that came later is left for the next round. A table
                that one load job wrote never changes; any other one is dropped only in the version that was copied

Whatever dies between two steps can be repeated: every job id is deterministic, and a MERGE of rows that are there changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TypeVar

from google.api_core.exceptions import NotFound

from services.batches.business_key import Run
from services.batches.ids import (
    compact_prefix,
    compact_table,
    is_compact_table,
    make_job_id,
    unit_table,
)
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.retry import RetryPolicy, call_with_retry, is_transient
from services.pipeline import lease as leases
from services.pipeline.job_retry import run_job_with_retry
from services.pipeline.manifest import Manifest, build_manifest, count_table_rows, describe_units, list_units
from services.pipeline.merge import MergeCounts
from services.pipeline.merge_counts import RowCountMismatch, VersionsByKey, count_rows, verify_merge
from services.pipeline.older_runs import find_older_runs, has_several_runs, without_runs
from services.pipeline.warehouse import JobFailed, StagingTableInfo, Warehouse

T = TypeVar("T")

SOURCES_PER_COPY = 1_200
DROP_THREADS = 8


@dataclass(frozen=True)
class ConsolidationResult:
    """The sums of one consolidation: staged = distinct + collapsed; distinct = inserted + updated + unchanged.

    Rows of a table that a newer one of the batch replaces are in no sum (older_runs.py). `players` are those of the merged rows,
    by player_lookup. `outdated` rows are older than what stands: unchanged, or inserted as superseded. `deactivated` rows were
    active before.
    """

    batch_id: str
    game_date: date
    tables: tuple[str, ...]
    players: frozenset[str]
    staged_rows: int
    distinct_keys: int
    collapsed_rows: int
    inserted: int
    updated: int
    unchanged: int
    outdated: int
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

    def consolidate(
        self, batch_id: str, game_date: date, verified_rows: Mapping[str, int] | None = None
    ) -> ConsolidationResult:
        """Merge every staged unit of a batch into the predictions table; raises LeaseHeld or another OnCallError, with all tables kept.

        `verified_rows` are those of tables that workers have answered for; all others are looked at one by one. A MERGE that
        BigQuery refused for a transient reason is retried under a new fence: its job id is used up.
        """
        attempt = 1
        while True:
            try:
                with self._hold_lease(game_date) as lease:
                    return self._consolidate_with_lease(lease, batch_id, verified_rows or {})
            except JobFailed as error:
                if attempt > self._retry.retries or not is_transient(error):
                    raise
                self._retry.sleep(self._retry.backoff_s(attempt))
                attempt += 1

    @contextmanager
    def _hold_lease(self, game_date: date) -> Iterator[leases.Lease]:
        holder = f"{self._holder}-{secrets.token_hex(4)}"
        lease = self._retry_call(lambda: leases.acquire(self._warehouse, game_date, holder))
        try:
            yield lease
        finally:
            self._retry_call(lambda: leases.release(self._warehouse, lease))

    def _renew(self, lease: leases.Lease) -> None:
        self._retry_call(lambda: leases.renew(self._warehouse, lease))

    def _consolidate_with_lease(
        self, lease: leases.Lease, batch_id: str, verified_rows: Mapping[str, int]
    ) -> ConsolidationResult:
        """One MERGE per game date of the rows, each under the lease of its date; cleanup when all of them are proven.

        Each long step begins by renewing the lease: a process that was taken over stops there, and drops nothing.
        """
        manifest = self._retry_call(lambda: build_manifest(self._warehouse, batch_id, verified_rows))
        source, copied_rows = self._compact(lease, batch_id, manifest)
        staged_by_date = self._read_staged(source, copied_rows)
        all_counts: list[tuple[MergeCounts, int]] = []
        for game_date, staged in staged_by_date.items():
            if game_date == lease.game_date:
                all_counts.append(self._merge(lease, batch_id, source, staged, manifest))
                continue
            self._renew(lease)
            with self._hold_lease(game_date) as other_lease:
                all_counts.append(self._merge(other_lease, batch_id, source, staged, manifest))
        self._renew(lease)
        late_tables = self._cleanup(batch_id, manifest, source)
        players = frozenset(key.player_lookup for staged in staged_by_date.values() for key in staged)
        return _build_result(lease, batch_id, manifest, copied_rows, players, all_counts, late_tables)

    def _compact(self, lease: leases.Lease, batch_id: str, manifest: Manifest) -> tuple[str, int]:
        """One table with every row of the manifest, and their number. It is named by the fence, so no other attempt ever touches it.

        Those of earlier attempts, which died or failed, are dropped: their MERGE has ended, or can never start.
        """
        for table in self._retry_call(lambda: self._warehouse.list_staging_tables(compact_prefix(batch_id))):
            if is_compact_table(table, batch_id):
                self._retry_call(partial(self._warehouse.drop, table))
        target = compact_table(batch_id, lease.fence)
        rows = 0
        for i in range(0, len(manifest), SOURCES_PER_COPY):
            self._renew(lease)
            sources = [table.table for table in manifest[i : i + SOURCES_PER_COPY]]
            job_id = make_job_id("copy", batch_id, lease.game_date, lease.fence, i // SOURCES_PER_COPY)
            try:
                rows = run_job_with_retry(self._retry, job_id, partial(self._warehouse.copy, sources, target))
            except JobFailed as error:
                if not is_transient(error):
                    self._describe(batch_id, manifest)  # which says what is wrong with them
                raise
        if rows != count_table_rows(manifest) and rows != (
            found := count_table_rows(self._describe(batch_id, manifest))
        ):
            raise RowCountMismatch(
                f"{target} holds {rows} rows, the {len(manifest)} tables of {batch_id} hold {found}; all are kept."
            )
        return target, rows

    def _describe(self, batch_id: str, manifest: Manifest) -> Manifest:
        return self._retry_call(lambda: describe_units(self._warehouse, batch_id, [table.table for table in manifest]))

    def _read_staged(self, source: str, expected_rows: int) -> dict[date, VersionsByKey]:
        """The staged rows by game date, oldest date first; each of them has one, so none is left out of the MERGEs."""
        staged = self._retry_call(lambda: self._warehouse.read_versions(source))
        dated = {key: versions for key, versions in staged.items() if key.game_date}
        if count_rows(dated) != expected_rows:
            raise RowCountMismatch(
                f"{source} holds {expected_rows} rows, {count_rows(dated)} of them with a game date; all tables are kept."
            )
        dates = sorted({key.game_date for key in dated})
        return {
            date.fromisoformat(day): {key: versions for key, versions in dated.items() if key.game_date == day}
            for day in dates
        }

    def _merge(
        self,
        lease: leases.Lease,
        batch_id: str,
        source: str,
        staged: VersionsByKey,
        manifest: Manifest,
    ) -> tuple[MergeCounts, int]:
        """The MERGE of one game date under its lease, proven: raises RowCountMismatch unless what was counted was done.

        Its counts, and how many rows were left out because a newer table of the batch replaces them.
        """
        older_runs = self._find_older_runs(manifest, staged)
        newest = without_runs(staged, older_runs)
        before = self._read_predictions(lease.game_date)
        counts = self._retry_call(lambda: self._warehouse.count_outcomes(source, lease.game_date, older_runs))
        self._renew(lease)
        merged_at = self._warehouse.now()
        merge_result = self._retry_call(
            lambda: self._warehouse.merge(source, lease.game_date, lease.merge_job_id, merged_at, older_runs), JobFailed
        )
        after = self._read_predictions(lease.game_date)
        title = f"After the MERGE of {batch_id} for {lease.game_date}"
        verify_merge(title, counts, merge_result, newest, before, after)
        return counts, count_rows(staged) - count_rows(newest)

    def _find_older_runs(self, manifest: Manifest, staged: VersionsByKey) -> frozenset[Run]:
        """Runs that another table of the batch replaces. The tables are read only where a player may be in several."""
        if not has_several_runs(staged):
            return frozenset()
        return find_older_runs(staged, map(self._read_table, manifest))

    def _read_table(self, table: StagingTableInfo) -> VersionsByKey:
        """The rows of a table; none when it was taken meanwhile by the customer's consolidator or a sweep."""
        try:
            return self._retry_call(lambda: self._warehouse.read_versions(table.table))
        except NotFound:
            return {}

    def _read_predictions(self, game_date: date) -> VersionsByKey:
        return self._retry_call(lambda: self._warehouse.read_versions(PREDICTIONS_TABLE, game_date))

    def _cleanup(self, batch_id: str, manifest: Manifest, source: str) -> int:
        """Drop what is proven to be merged; returns how many tables of the batch remain because they came or changed later."""
        self._parallel(manifest, self._drop_merged)
        self._retry_call(partial(self._warehouse.drop, source))
        return len(self._retry_call(lambda: list_units(self._warehouse, batch_id)))

    def _drop_merged(self, table: StagingTableInfo) -> None:
        version = None if unit_table(table.table) else table.version
        self._retry_call(partial(self._warehouse.drop, table.table, version))

    def _parallel(self, tables: Manifest, work: Callable[[StagingTableInfo], object]) -> None:
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


def _build_result(
    lease: leases.Lease,
    batch_id: str,
    manifest: Manifest,
    copied_rows: int,
    players: frozenset[str],
    all_counts: Sequence[tuple[MergeCounts, int]],
    late_tables: int,
) -> ConsolidationResult:
    """The sums over all game dates."""

    def total(*outcomes: str) -> int:
        return sum(getattr(counts, outcome) for counts, _ in all_counts for outcome in outcomes)

    return ConsolidationResult(
        batch_id=batch_id,
        game_date=lease.game_date,
        tables=tuple(table.table for table in manifest),
        players=players,
        staged_rows=copied_rows - sum(replaced_rows for _, replaced_rows in all_counts),
        distinct_keys=total("added", "changed", "renewed", "same", "outdated", "superseded"),
        collapsed_rows=total("collapsed"),
        inserted=total("added", "superseded"),
        updated=total("changed"),
        unchanged=total("renewed", "same", "outdated"),
        outdated=total("outdated", "superseded"),
        deactivated=total("retired", "moved", "duplicate"),
        merge_job_id=lease.merge_job_id,
        fence=lease.fence,
        late_tables=late_tables,
    )
