"""Consolidates staged units into the predictions table: manifest, copy, one MERGE under the date's lease, proof, then cleanup.

    manifest    the batch's unit tables as listed, with their rows: of a load that the coordinator saw verified, as answered;
                of any other table, as BigQuery describes it
    compact     copy jobs (free, up to 1,200 sources each) bring them into one table; its rows must equal the manifest's
    MERGE       one statement per game date of the rows, which is one, under the fence of that date
    proof       what was counted before, what BigQuery reports and what is read after agree (merge_counts.py); then the lease is
                released, and whoever asked for it records the consolidation
    cleanup     exactly the manifest's tables, after the compact one; a table that came later is left for the next round. A table
                that one load job wrote never changes; any other one is dropped only in the version that was copied

Whatever dies between two steps can be repeated: every job id is deterministic, and a MERGE of rows that are there changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TypeVar

from google.api_core.exceptions import NotFound

from services.batches.business_key import Run
from services.batches.closing import ADDED_SUMS
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
from services.pipeline.merge_counts import RowCountMismatch, verify_merge
from services.pipeline.older_runs import find_older_runs, has_several_runs, without_runs
from services.pipeline.row_versions import KeyedVersion, StagedRows, StoredRows, count_stored, group_by_date
from services.pipeline.warehouse import JobFailed, StagingTableInfo, Warehouse

T = TypeVar("T")

SOURCES_PER_COPY = 1_200
DROP_THREADS = 8


@dataclass(frozen=True)
class ConsolidationResult:
    """The sums of one consolidation: staged = distinct + collapsed; distinct = inserted + updated + unchanged.

    Rows of a table that a newer one of the batch replaces are in no sum (older_runs.py). `players` are those of the merged rows,
    by player_lookup. `outdated` rows are older than what stands: unchanged, or inserted as superseded. `deactivated` rows were
    active before. `active_players` and `active_rows` are those of the batch's game date then; None: no row of it was staged.
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
    active_players: int | None = None
    active_rows: int | None = None


@dataclass(frozen=True)
class _Merged:
    """What is merged and proven, and so may be dropped."""

    result: ConsolidationResult
    manifest: Manifest


@dataclass(frozen=True)
class _DateMerge:
    """One game date: what its MERGE did, how many rows a newer table of the batch replaces, and the date's rows then."""

    counts: MergeCounts
    replaced_rows: int
    after: StoredRows


class Consolidator:
    """Consolidates batches; `holder` is the name under which it takes the lease, `on_progress` is called as it renews it."""

    def __init__(
        self,
        warehouse: Warehouse,
        holder: str,
        retry: RetryPolicy | None = None,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._warehouse, self._holder, self._retry = warehouse, holder, retry or RetryPolicy()
        self._on_progress = on_progress

    def consolidate(
        self,
        batch_id: str,
        game_date: date,
        verified_rows: Mapping[str, int] | None = None,
        on_merged: Callable[[ConsolidationResult], None] = lambda _: None,
    ) -> ConsolidationResult:
        """Merge every staged unit of a batch into the predictions table; raises LeaseHeld or another OnCallError, with all tables kept.

        `verified_rows` are those of tables that workers have answered for; all others are looked at one by one. A MERGE that
        BigQuery refused for a transient reason is retried under a new fence: its job id is used up. `on_merged` is called when
        all is proven and the lease is free; what is merged is dropped after it. A crash from then on leaves merged tables.
        """
        merged = self._merge_with_retry(batch_id, game_date, verified_rows or {})
        on_merged(merged.result)
        changed = self._cleanup(merged)
        return replace(merged.result, late_tables=merged.result.late_tables + changed)

    def _merge_with_retry(self, batch_id: str, game_date: date, verified_rows: Mapping[str, int]) -> _Merged:
        attempt = 1
        while True:
            try:
                with self._hold_lease(game_date) as lease:
                    return self._merge_with_lease(lease, batch_id, verified_rows)
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
        self._on_progress()

    def _merge_with_lease(self, lease: leases.Lease, batch_id: str, verified_rows: Mapping[str, int]) -> _Merged:
        """One MERGE per game date of the rows, each under the lease of its date.

        Each long step begins by renewing the lease, and so does the end: a process that was taken over stops there, and drops nothing.
        """
        manifest = self._retry_call(lambda: build_manifest(self._warehouse, batch_id, verified_rows))
        with ThreadPoolExecutor(1) as pool:
            counting = pool.submit(self._count_predictions, lease.game_date)  # while the tables are copied
            source, copied_rows = self._compact(lease, batch_id, manifest)
        before = (
            counting.result()
        )  # before the staged rows are read: the rows of both tables are never in memory together
        staged_by_date = self._read_staged(source, copied_rows)
        merges: dict[date, _DateMerge] = {}
        for game_date, staged in staged_by_date.items():
            if game_date == lease.game_date:
                merges[game_date] = self._merge(lease, batch_id, source, staged, before, manifest)
                continue
            self._renew(lease)
            with self._hold_lease(game_date) as other_lease:
                other_before = self._count_predictions(game_date)
                merges[game_date] = self._merge(other_lease, batch_id, source, staged, other_before, manifest)
        self._renew(lease)
        self._retry_call(partial(self._warehouse.drop, source))  # first: nothing but the unit tables leads back to it
        late_tables = set(self._retry_call(lambda: list_units(self._warehouse, batch_id)))
        late_tables -= {table.table for table in manifest}
        players = frozenset(key.player_lookup for staged in staged_by_date.values() for key in staged.newest)
        result = _build_result(lease, batch_id, manifest, copied_rows, players, merges, len(late_tables))
        return _Merged(result, manifest)

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

    def _read_staged(self, source: str, expected_rows: int) -> dict[date, StagedRows]:
        """The staged rows by game date, oldest date first; each of them has one, so none is left out of the MERGEs."""
        staged = self._retry_call(lambda: group_by_date(self._warehouse.read_rows(source)))
        dates = sorted(day for day in staged if day)
        if (dated := sum(len(staged[day]) for day in dates)) != expected_rows:
            raise RowCountMismatch(
                f"{source} holds {expected_rows} rows, {dated} of them with a game date; all tables are kept."
            )
        return {date.fromisoformat(day): staged[day] for day in dates}

    def _merge(
        self,
        lease: leases.Lease,
        batch_id: str,
        source: str,
        staged: StagedRows,
        before: StoredRows,
        manifest: Manifest,
    ) -> _DateMerge:
        """The MERGE of one game date under its lease, proven: raises RowCountMismatch unless what was counted was done."""
        older_runs = self._find_older_runs(manifest, staged)
        newest = without_runs(staged, older_runs)
        counts = self._retry_call(lambda: self._warehouse.count_outcomes(source, lease.game_date, older_runs))
        self._renew(lease)
        merged_at = self._warehouse.now()
        merge_result = self._retry_call(
            lambda: self._warehouse.merge(source, lease.game_date, lease.merge_job_id, merged_at, older_runs), JobFailed
        )
        after = self._count_predictions(lease.game_date, newest)
        title = f"After the MERGE of {batch_id} for {lease.game_date}"
        verify_merge(title, counts, merge_result, newest, before, after)
        return _DateMerge(counts, len(staged) - len(newest), after)

    def _find_older_runs(self, manifest: Manifest, staged: StagedRows) -> frozenset[Run]:
        """Runs that another table of the batch replaces. The tables are read only where a player may be in several."""
        if not has_several_runs(staged):
            return frozenset()
        return find_older_runs(staged, map(self._read_table, manifest))

    def _read_table(self, table: StagingTableInfo) -> Sequence[KeyedVersion]:
        """The rows of a table; none when it was taken meanwhile by the customer's consolidator or a sweep."""
        try:
            return self._retry_call(lambda: list(self._warehouse.read_rows(table.table)))
        except NotFound:
            return ()

    def _count_predictions(self, game_date: date, staged: StagedRows | None = None) -> StoredRows:
        """The rows of the predictions table, in comparison with those that are staged."""
        staged = staged or StagedRows()
        return self._retry_call(lambda: count_stored(self._warehouse.read_rows(PREDICTIONS_TABLE, game_date), staged))

    def _cleanup(self, merged: _Merged) -> int:
        """Drop what is proven to be merged; returns how many tables remain because they changed later."""
        with ThreadPoolExecutor(DROP_THREADS) as pool:
            return list(pool.map(self._drop_merged, merged.manifest)).count(False)

    def _drop_merged(self, table: StagingTableInfo) -> bool:
        version = None if unit_table(table.table) else table.version
        return self._retry_call(partial(self._warehouse.drop, table.table, version))

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
    merges: Mapping[date, _DateMerge],
    late_tables: int,
) -> ConsolidationResult:
    """The sums over all game dates."""

    def total(*outcomes: str) -> int:
        return sum(getattr(merge.counts, outcome) for merge in merges.values() for outcome in outcomes)

    of_date = merges.get(lease.game_date)

    return ConsolidationResult(
        batch_id=batch_id,
        game_date=lease.game_date,
        tables=tuple(table.table for table in manifest),
        players=players,
        staged_rows=copied_rows - sum(merge.replaced_rows for merge in merges.values()),
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
        active_players=of_date.after.active_players if of_date else None,
        active_rows=of_date.after.active_rows if of_date else None,
    )


def sum_results(first: ConsolidationResult, second: ConsolidationResult) -> ConsolidationResult:
    """The sums of two rounds of one batch."""
    sums = (*ADDED_SUMS, "outdated")
    return replace(
        second,
        tables=first.tables + second.tables,
        players=first.players | second.players,
        **{name: getattr(first, name) + getattr(second, name) for name in sums},
    )
