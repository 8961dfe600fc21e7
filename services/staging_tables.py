"""Staging tables: what runs left behind, what is safe, and what still holds rows nobody else has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from services import staging_rows
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.errors import OnCallError
from services.foundation.reading import Health, Problem, Source, worst
from services.pipeline.names import DATASET
from services.runs import LIVE, read_batches


class TableClass(StrEnum):
    """What a staging table is; worst first."""

    ORPHAN = "orphan, older than 24 h"
    WAITING = "waiting for consolidation"
    UNKNOWN = "unknown"
    RUNNING = "batch running"
    MERGED = "already merged"


@dataclass(frozen=True)
class StagingTable:
    """One `_staging_*` table. `unmerged_rows` None: not proven either way."""

    table: str  # dataset.table
    batch_id: str
    worker: str
    game_date: date | None
    rows: int | None
    size_bytes: int | None
    created: datetime
    expires: datetime | None
    unmerged_rows: int | None
    table_class: TableClass


@dataclass(frozen=True)
class BatchTotal:
    batch_id: str
    game_date: date | None
    tables: int
    rows: int
    size_bytes: int
    oldest: datetime
    unmerged_rows: int | None
    table_class: TableClass


@dataclass(frozen=True)
class Inventory:
    tables: tuple[StagingTable, ...]
    batches: tuple[BatchTotal, ...]
    health: Health
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()


def read_inventory(cloud: Cloud) -> Inventory:
    """Every staging table with its class; raises OnCallError when the tables cannot be listed or described."""
    listed = staging_rows.read_listed(cloud)
    about = staging_rows.read_about(cloud, listed.tables)
    sources = [replace(listed.source, name="BigQuery, tables.list and tables.get")]
    problems: list[Problem] = []
    unmerged: dict[str, int] = {}
    running: set[str] = set()
    there = [each for each in listed.tables if each.name in about]
    for day in sorted({each.game_date for each in there if each.game_date is not None}):
        try:
            of_day = {batch.batch_id for batch in read_batches(cloud, day).batches if batch.state in LIVE}
            running |= of_day
            ended = [each for each in there if each.game_date == day and each.batch_id not in of_day]
            unmerged |= _unmerged(cloud, day, ended, sources)
        except OnCallError as error:
            problems.append(Problem.of(f"proof for {day}", cloud.now(), error))
    told = tuple(_table(cloud, each, about[each.name], unmerged.get(each.name), running) for each in there)
    return Inventory(told, totals(told), _health(told), tuple(sources), tuple(problems))


def _unmerged(cloud: Cloud, day: date, tables: Sequence[staging_rows.Listed], sources: list[Source]) -> dict[str, int]:
    """How many rows of each table have a business key that the predictions table does not have."""
    if not tables:
        return {}
    written = catalog.run(cloud, "night.written", game_date=day)
    staged = staging_rows.read_contents(cloud, tables)
    sources += [written.source, staged.source]
    merged = {staging_rows.key_of(row, day) for row in written.rows}
    return {name: sum(key not in merged for key in keys) for name, keys in staged.keys.items()}


def _table(
    cloud: Cloud, listed: staging_rows.Listed, about: Any, unmerged: int | None, running: set[str]
) -> StagingTable:
    if unmerged is None and about.num_rows == 0:
        unmerged = 0
    old = cloud.now() - listed.created > timedelta(hours=cloud.settings.orphan_after_h)
    return StagingTable(
        table=f"{DATASET}.{listed.name}",
        batch_id=listed.batch_id,
        worker=listed.worker,
        game_date=listed.game_date,
        rows=about.num_rows,
        size_bytes=about.num_bytes,
        created=listed.created,
        expires=about.expires,
        unmerged_rows=unmerged,
        table_class=classify(unmerged, old, listed.batch_id in running),
    )


def classify(unmerged_rows: int | None, old: bool, batch_runs: bool) -> TableClass:
    """What a table is: proof first, then its batch, then its age. Without proof it is never called merged."""
    if batch_runs:
        return TableClass.RUNNING
    if unmerged_rows is None:
        return TableClass.UNKNOWN
    if unmerged_rows == 0:
        return TableClass.MERGED
    return TableClass.ORPHAN if old else TableClass.WAITING


def totals(tables: Iterable[StagingTable]) -> tuple[BatchTotal, ...]:
    """One line per batch, worst class first."""
    groups: dict[str, list[StagingTable]] = defaultdict(list)
    for table in tables:
        groups[table.batch_id].append(table)
    made = [_total(batch_id, group) for batch_id, group in groups.items()]
    order = list(TableClass)
    return tuple(sorted(made, key=lambda total: (order.index(total.table_class), total.oldest)))


def _total(batch_id: str, group: list[StagingTable]) -> BatchTotal:
    order = list(TableClass)
    proofs = [t.unmerged_rows for t in group]
    return BatchTotal(
        batch_id=batch_id,
        game_date=group[0].game_date,
        tables=len(group),
        rows=sum(t.rows or 0 for t in group),
        size_bytes=sum(t.size_bytes or 0 for t in group),
        oldest=min(t.created for t in group),
        unmerged_rows=None if any(p is None for p in proofs) else sum(p or 0 for p in proofs),
        table_class=min((t.table_class for t in group), key=order.index),
    )


def _health(tables: tuple[StagingTable, ...]) -> Health:
    words = {
        TableClass.ORPHAN: Health.WARNING,
        TableClass.WAITING: Health.WARNING,
        TableClass.UNKNOWN: Health.UNKNOWN,
        TableClass.RUNNING: Health.OK,
        TableClass.MERGED: Health.OK,
    }
    return worst(words[table.table_class] for table in tables) if tables else Health.OK
