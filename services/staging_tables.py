"""Staging tables: what runs left behind, what is safe, and what still holds rows nobody else has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.errors import OnCallError
from services.foundation.google_reads import items_of, reading_from
from services.foundation.reading import Health, Problem, Source, worst
from services.runs import LIVE, Batches, read_batches

DATASET = "nba_predictions"
PREFIX = "_staging_"
MOST_DESCRIBED = 500  # tables whose rows and bytes are asked one by one; beyond that only the listing is shown


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


_NAME = re.compile(r"^_staging_(?P<batch>batch_(?P<y>\d{4})_(?P<m>\d\d)_(?P<d>\d\d)_\d+)_(?P<worker>.+)$")


def parse_name(table: str) -> tuple[str, str, date | None]:
    """(batch id, worker, game date) from a staging table's name; a name of another shape keeps what can be read of it."""
    told = _NAME.match(table)
    if told is None:
        batch, _, worker = table.removeprefix(PREFIX).rpartition("_")
        return batch or table, worker, None
    day = f"{told['y']}-{told['m']}-{told['d']}"
    try:
        game_date = date.fromisoformat(day)
    except ValueError:
        return told["batch"], told["worker"], None
    return f"batch_{day}_{told['batch'].rsplit('_', 1)[1]}", told["worker"], game_date


def read_inventory(cloud: Cloud) -> Inventory:
    """Every staging table with its class; raises OnCallError when the tables cannot be listed."""
    limit_s = cloud.settings.query_timeout_s
    with reading_from("BigQuery tables.list"):
        listed = cloud.bigquery.list_tables(
            DATASET, page_size=1000, retry=DEFAULT_RETRY.with_timeout(limit_s), timeout=limit_s
        )
        tables = [item.table_id for item in items_of("BigQuery tables.list", listed)]
        names = sorted(name for name in tables if name.startswith(PREFIX))
        created = {} if not names else _describe(cloud, names)
    sources = [Source("BigQuery tables.list and tables.get", cloud.now())]
    problems: list[Problem] = []
    dates = sorted({day for day in (parse_name(name)[2] for name in names) if day is not None})
    unmerged: dict[str, int] = {}
    running: set[str] = set()
    for day in dates:
        try:
            unmerged |= _unmerged(cloud, day, sources)
            running |= _running(read_batches(cloud, day))
        except OnCallError as error:
            problems.append(Problem.of(f"proof for {day}", cloud.now(), error))
    told = tuple(_table(cloud, name, created[name], unmerged.get(name), running) for name in names)
    return Inventory(told, totals(told), _health(told), tuple(sources), tuple(problems))


def _describe(cloud: Cloud, names: list[str]) -> Mapping[str, Any]:
    limit_s = cloud.settings.query_timeout_s

    def get(name: str) -> Any:
        return cloud.bigquery.get_table(f"{DATASET}.{name}", retry=DEFAULT_RETRY.with_timeout(limit_s), timeout=limit_s)

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(names, pool.map(get, names), strict=True))


def _unmerged(cloud: Cloud, day: date, sources: list[Source]) -> dict[str, int]:
    prefix = f"{PREFIX}batch_{day:%Y_%m_%d}_"
    told = catalog.run(cloud, "staging_tables.unmerged", tables={"staging": f"{DATASET}.{prefix}*"}, game_date=day)
    sources.append(told.source)
    return {f"{prefix}{row['suffix']}": row["unmerged_rows"] for row in told.rows}


def _running(batches: Batches) -> set[str]:
    return {batch.batch_id for batch in batches.batches if batch.state in LIVE}


def _table(cloud: Cloud, name: str, about: Any, unmerged: int | None, running: set[str]) -> StagingTable:
    batch_id, worker, game_date = parse_name(name)
    if unmerged is None and about.num_rows == 0:
        unmerged = 0
    old = cloud.now() - about.created > timedelta(hours=cloud.settings.orphan_after_h)
    return StagingTable(
        table=f"{DATASET}.{name}",
        batch_id=batch_id,
        worker=worker,
        game_date=game_date,
        rows=about.num_rows,
        size_bytes=about.num_bytes,
        created=about.created,
        expires=about.expires,
        unmerged_rows=unmerged,
        table_class=classify(unmerged, old, batch_id in running),
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
