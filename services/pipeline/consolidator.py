"""Staged units into the predictions table: manifest, copy together, one MERGE under the date's lease, proof, and only then cleanup.

    manifest    the batch's unit tables, frozen: names, rows, columns
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

from services.batches.business_key import Key
from services.batches.ids import PREDICTIONS, compact_table, is_compact_table, is_unit_table, job, staging_prefix
from services.core.errors import OnCallError
from services.gcp.retry import Policy, may_pass, retrying
from services.pipeline import lease as leases
from services.pipeline.job_retry import with_ids
from services.pipeline.warehouse import JobEnded, Staged, Warehouse

T = TypeVar("T")

SOURCES_PER_COPY = 1_200
CLEANERS = 8
Keys = Mapping[Key, Sequence[bool]]


class NothingStaged(OnCallError):
    """The batch has no staging table, so there is nothing to consolidate."""


class EmptyStaging(OnCallError):
    """The batch's staging tables hold no rows: something produced nothing."""


class SchemaDrift(OnCallError):
    """Staging tables of one batch differ in their columns."""


class NotConserved(OnCallError):
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
        self, warehouse: Warehouse, holder: str, retry: Policy | None = None, cleaners: int = CLEANERS
    ) -> None:
        self._warehouse, self._holder, self._retry, self._cleaners = warehouse, holder, retry or Policy(), cleaners

    def consolidate(self, batch: str, game_date: date) -> ConsolidationResult:
        """Bring every staged unit of a batch into the predictions table; raises LeaseHeld, or a sentence, with all tables kept.

        A MERGE that BigQuery refused for a passing reason is tried again under a new fence: its job id is used up.
        """
        attempt = 1
        while True:
            try:
                return self._round(batch, game_date)
            except JobEnded as error:
                if attempt > self._retry.retries or not may_pass(error):
                    raise
                self._retry.sleep(self._retry.pause_s(attempt))
                attempt += 1

    def _round(self, batch: str, game_date: date) -> ConsolidationResult:
        holder = f"{self._holder}-{secrets.token_hex(4)}"
        held = self._try(lambda: leases.acquire(self._warehouse, game_date, holder))
        try:
            return self._under(held, batch, game_date)
        finally:
            self._try(lambda: leases.release(self._warehouse, held))

    def _under(self, held: leases.Lease, batch: str, game_date: date) -> ConsolidationResult:
        manifest = self._manifest(batch)
        source = self._compact(batch, held.fence, manifest)
        before = self._keys(PREDICTIONS, game_date)
        staged = self._keys(source, game_date)
        at = self._warehouse.now()
        merged = self._try(lambda: self._warehouse.merge(source, game_date, held.merge_job, at), JobEnded)
        after = self._keys(PREDICTIONS, game_date)
        result = _sums(held, batch, manifest, before, staged, after, merged.affected)
        return replace(result, late_tables=self._cleanup(batch, manifest))

    def _manifest(self, batch: str) -> tuple[Staged, ...]:
        found = self._try(lambda: self._warehouse.staged(staging_prefix(batch)))
        units = tuple(table for table in found if is_unit_table(table.table, batch))
        if not units:
            raise NothingStaged(f"{batch} has no staging table, so there is nothing to consolidate.")
        if not any(table.rows for table in units):
            raise EmptyStaging(
                f"The {len(units)} staging tables of {batch} hold no rows; they are kept.", "Look at the workers' logs."
            )
        drifted = [table for table in units if table.columns != units[0].columns]
        if drifted:
            raise SchemaDrift(
                f"{len(drifted)} of {len(units)} staging tables of {batch} have other columns than {units[0].table}"
                f" ({_difference(units[0], drifted[0])}); all are kept.",
                "Re-run the players of the drifted tables with one worker revision.",
            )
        return units

    def _compact(self, batch: str, fence: int, manifest: tuple[Staged, ...]) -> str:
        """One table with every row of the manifest. It is named by the fence, so no other attempt ever touches it."""
        target = compact_table(batch, fence)
        rows = 0
        for i in range(0, len(manifest), SOURCES_PER_COPY):
            sources = [table.table for table in manifest[i : i + SOURCES_PER_COPY]]
            job_id = job("copy", batch, fence, i // SOURCES_PER_COPY)
            rows = with_ids(self._retry, job_id, partial(self._warehouse.copy, sources, target))
        expected = sum(table.rows for table in manifest)
        if rows != expected:
            raise NotConserved(
                f"{target} holds {rows} rows, the {len(manifest)} tables of {batch} hold {expected}; all are kept."
            )
        return target

    def _keys(self, table: str, game_date: date) -> Keys:
        return self._try(lambda: self._warehouse.keys(table, game_date))

    def _cleanup(self, batch: str, manifest: tuple[Staged, ...]) -> int:
        """Drop what is proven to be in the table; how many tables of the batch are left because they came or changed later."""
        self._each(manifest, lambda t: self._try(partial(self._warehouse.drop, t.table, t.version)))
        left = self._try(lambda: self._warehouse.staged(staging_prefix(batch)))
        for table in left:
            if is_compact_table(table.table, batch):
                self._try(partial(self._warehouse.drop, table.table))
        return sum(is_unit_table(table.table, batch) for table in left)

    def _each(self, tables: Sequence[Staged], work: Callable[[Staged], object]) -> None:
        """`work` on every table, several at once."""
        if self._cleaners == 1:
            for table in tables:
                work(table)
            return
        with ThreadPoolExecutor(self._cleaners) as pool:
            list(pool.map(work, tables))

    def _try(self, work: Callable[[], T], *but: type[Exception]) -> T:
        """`work`, again where its error may pass; an error of `but` is raised at once."""

        def once() -> T | Exception:
            try:
                return work()
            except but as error:
                return error

        done = retrying(self._retry, once)
        if isinstance(done, Exception):
            raise done
        return done


def _sums(
    held: leases.Lease, batch: str, manifest: tuple[Staged, ...], before: Keys, staged: Keys, after: Keys, affected: int
) -> ConsolidationResult:
    """Prove the MERGE from three readings of the keys; raises NotConserved with the numbers."""
    absent = [key for key in staged if key not in after]
    doubled = active_twice(after, staged)
    inserted = sum(key not in before for key in staged)
    renewed = {key[1:4] for key in staged}
    retired = sum(sum(rows) for key, rows in before.items() if key[1:4] in renewed and key not in staged)
    updated = affected - inserted - retired
    staged_rows = sum(table.rows for table in manifest)
    unchanged = len(staged) - inserted - updated
    if absent or doubled or updated < 0 or unchanged < 0:
        raise NotConserved(
            f"After the MERGE of {batch}: {len(absent)} of {len(staged)} staged keys are not in the table, {len(doubled)} keys are"
            f" active twice, {affected} rows changed for {inserted} new and {retired} retired; all tables are kept."
        )
    return ConsolidationResult(
        batch_id=batch,
        game_date=held.game_date,
        tables=tuple(table.table for table in manifest),
        staged_rows=staged_rows,
        distinct_keys=len(staged),
        collapsed_rows=staged_rows - len(staged),
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        deactivated=retired,
        merge_job_id=held.merge_job,
        fence=held.fence,
        late_tables=0,
    )


def active_twice(keys: Keys, among: Iterable[Key] | None = None) -> list[Key]:
    """Business keys with more than one active row."""
    return [key for key in (keys if among is None else among) if sum(keys.get(key, ())) > 1]


def _difference(one: Staged, other: Staged) -> str:
    missing = sorted({n for n, _ in one.columns} ^ {n for n, _ in other.columns})
    return f"differing in {', '.join(missing)}" if missing else "differing in a column's type"
