"""Staging tables: what runs left behind, what is safe, and what still holds rows nobody else has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.batches.business_key import Key, key
from services.batches.ids import DATASET, STAGING, parse_name
from services.batches.reader import Batches, read_batches
from services.batches.staged_rows import Contents, forget_but, read_contents
from services.batches.state import LIVE
from services.core.errors import OnCallError
from services.core.result import Health, Problem, Source, worst
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import items_of, reading_from


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
    rows: int | None  # None as soon as one of its tables is not read
    size_bytes: int | None
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
    """Every staging table with its class; raises OnCallError when the tables cannot be listed.

    Of very many tables the first looks read only a part: the others are there, and what they hold is unknown until then.
    """
    limit_s = cloud.settings.query_timeout_s
    with reading_from("BigQuery tables.list"):
        listed = cloud.bigquery.list_tables(
            DATASET, page_size=1000, retry=DEFAULT_RETRY.with_timeout(limit_s), timeout=limit_s
        )
        items = [item for item in items_of("BigQuery tables.list", listed) if item.table_id.startswith(STAGING)]
    sources = [Source("BigQuery, tables.list, tables.get and tabledata.list", cloud.now())]
    held, problems = _held(cloud, items)
    unmerged, unproven = _unmerged(cloud, held, sources)
    running, unasked = _live(cloud, items)
    told = tuple(
        _table(cloud, item, held.get(item.table_id), unmerged.get(item.table_id), running)
        for item in sorted(items, key=lambda item: str(item.table_id))
    )
    return Inventory(told, totals(told), _health(told), tuple(sources), (*problems, *unproven, *unasked))


def _held(cloud: Cloud, items: Sequence[Any]) -> tuple[dict[str, Contents], list[Problem]]:
    """What the tables hold, as far as this look could read them."""
    held = read_contents(cloud, items)
    forget_but(cloud, [item.table_id for item in items])
    if (left := len(items) - len(held)) <= 0:
        return held, []
    words = f"{left:,} of {len(items):,} staging tables are not read yet."
    return held, [
        Problem("staging tables", cloud.now(), words, "Each look reads more of them; this page looks again by itself.")
    ]


def _unmerged(
    cloud: Cloud, held: Mapping[str, Contents], sources: list[Source]
) -> tuple[dict[str, int | None], tuple[Problem, ...]]:
    """Rows of each table that the predictions table lacks, and the dates of which nobody can say."""
    merged: dict[date, set[Key]] = {}
    problems: list[Problem] = []
    for day in sorted({day for each in held.values() for day in each.dates}):
        try:
            written = catalog.run(cloud, "night.written", game_date=day)
        except OnCallError as error:
            problems.append(Problem.of(f"proof for {day}", cloud.now(), error))
            continue
        sources.append(written.source)
        merged[day] = {key({**row, "game_date": day}) for row in written.rows}
    return {name: _lacking(each, merged) for name, each in held.items()}, tuple(problems)


def _lacking(held: Contents, merged: Mapping[date, set[Key]]) -> int | None:
    """How many rows of a table have no row of their key in the predictions table; None where that is not known."""
    if held.keys is None or not held.dates <= merged.keys():
        return None
    return sum(row not in merged[date.fromisoformat(row[0])] for row in held.keys)


def _live(cloud: Cloud, items: Sequence[Any]) -> tuple[set[str], tuple[Problem, ...]]:
    """The batches that run now. Only dates with a table that is not old are asked: two queries each, and every plan asks again."""
    since = cloud.now() - timedelta(hours=cloud.settings.orphan_after_h)
    new = [item for item in items if item.created is None or item.created >= since]
    running: set[str] = set()
    problems: list[Problem] = []
    for day in sorted({day for day in (parse_name(item.table_id)[2] for item in new) if day is not None}):
        try:
            running |= _running(read_batches(cloud, day))
        except OnCallError as error:
            problems.append(Problem.of(f"batches of {day}", cloud.now(), error))
    return running, tuple(problems)


def _running(batches: Batches) -> set[str]:
    return {batch.batch_id for batch in batches.batches if batch.state in LIVE}


def _table(cloud: Cloud, item: Any, held: Contents | None, unmerged: int | None, running: set[str]) -> StagingTable:
    name, created = item.table_id, item.created or cloud.now()
    batch_id, worker, game_date = parse_name(name)
    if unmerged is None and held is not None and held.rows == 0:
        unmerged = 0
    old = cloud.now() - created > timedelta(hours=cloud.settings.orphan_after_h)
    return StagingTable(
        table=f"{DATASET}.{name}",
        batch_id=batch_id,
        worker=worker,
        game_date=game_date,
        rows=held.rows if held else None,
        size_bytes=held.size_bytes if held else None,
        created=created,
        expires=item.expires,
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
    return BatchTotal(
        batch_id=batch_id,
        game_date=group[0].game_date,
        tables=len(group),
        rows=_sum(t.rows for t in group),
        size_bytes=_sum(t.size_bytes for t in group),
        oldest=min(t.created for t in group),
        unmerged_rows=_sum(t.unmerged_rows for t in group),
        table_class=min((t.table_class for t in group), key=order.index),
    )


def _sum(counts: Iterable[int | None]) -> int | None:
    """A sum is unknown as soon as a part of it is."""
    told = list(counts)
    known = [count for count in told if count is not None]
    return sum(known) if len(known) == len(told) else None


def _health(tables: tuple[StagingTable, ...]) -> Health:
    words = {
        TableClass.ORPHAN: Health.WARNING,
        TableClass.WAITING: Health.WARNING,
        TableClass.UNKNOWN: Health.UNKNOWN,
        TableClass.RUNNING: Health.OK,
        TableClass.MERGED: Health.OK,
    }
    return worst(words[table.table_class] for table in tables) if tables else Health.OK
