"""Inventory of the staging tables: what runs left behind, what is safe to drop, what holds rows that are nowhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from google.cloud.bigquery.table import TableListItem

from services.batches.business_key import LINE_COLUMN, BusinessKey, business_key
from services.batches.ids import DATASET, is_compact_table, parse_staging_table_name
from services.batches.reader import read_batches
from services.batches.staged_rows import Contents, evict_missing, read_contents
from services.batches.staging_listing import list_staging_tables, read_original_created
from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem, sum_or_unknown, worst
from services.gcp import query_catalog
from services.gcp.clients import Clients


class StagingTableState(StrEnum):
    """What a staging table is; worst first."""

    ORPHAN = "orphaned (> 24 h)"
    WAITING = "waiting for consolidation"
    UNKNOWN = "unknown"
    RUNNING = "in running batch"
    MERGED = "already merged"


HEALTH_BY_TABLE_STATE = {
    StagingTableState.ORPHAN: Health.WARNING,
    StagingTableState.WAITING: Health.WARNING,
    StagingTableState.UNKNOWN: Health.UNKNOWN,
    StagingTableState.RUNNING: Health.OK,
    StagingTableState.MERGED: Health.OK,
}


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
    state: StagingTableState
    players: tuple[str, ...] | None = None  # of its rows, by name; None: its rows are not read, or cannot be
    is_copy: bool = False  # what a consolidation that failed copied together from the batch's other tables


@dataclass(frozen=True)
class BatchTotal:
    """The staging tables of one batch together, in the worst of their states; rows of copies are counted once."""

    batch_id: str
    game_date: date | None
    tables: int
    players: int | None  # distinct ones; None as soon as those of one of its tables are not known
    rows: int | None  # None as soon as one of its tables is not read
    size_bytes: int | None
    oldest: datetime
    unmerged_rows: int | None
    state: StagingTableState


@dataclass(frozen=True)
class StagingInventory:
    """Every staging table, singly and by batch, and what could not be read."""

    tables: tuple[StagingTable, ...]
    batches: tuple[BatchTotal, ...]
    health: Health
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()


def read_inventory(clients: Clients) -> StagingInventory:
    """Every staging table with its state; raises OnCallError when the tables cannot be listed.

    Of very many tables the first reads get only a part: the others are listed, and their contents unknown until then.
    """
    items = list_staging_tables(clients)
    sources = [DataSource("BigQuery, tables.list, tables.get and tabledata.list", clients.now())]
    contents, problems = _read_contents(clients, items)
    unmerged, proof_problems = _count_unmerged_by_table(clients, contents, sources)
    running, batch_problems = _running_batches(clients, items)
    tables = mark_copies(
        _to_staging_table(clients, item, contents.get(item.table_id), unmerged.get(item.table_id), running)
        for item in items
    )
    return StagingInventory(
        tables, totals_by_batch(tables), _health(tables), tuple(sources), (*problems, *proof_problems, *batch_problems)
    )


def _read_contents(clients: Clients, items: Sequence[TableListItem]) -> tuple[dict[str, Contents], list[Problem]]:
    """What the tables hold, as far as there was time to read them."""
    contents = read_contents(clients, items)
    evict_missing(clients, [item.table_id for item in items])
    if (unread := len(items) - len(contents)) <= 0:
        return contents, []
    message = f"{unread:,} of {len(items):,} staging tables are not read yet."
    return contents, [
        Problem(
            "staging tables",
            clients.now(),
            message,
            "Each refresh reads more of them; this page refreshes automatically.",
        )
    ]


def _count_unmerged_by_table(
    clients: Clients, contents: Mapping[str, Contents], sources: list[DataSource]
) -> tuple[dict[str, int | None], tuple[Problem, ...]]:
    """Rows of each table that the predictions table lacks, and the dates for which that cannot be known."""
    merged_keys: dict[date, set[BusinessKey]] = {}
    problems: list[Problem] = []
    for day in sorted({day for table_contents in contents.values() for day in table_contents.dates}):
        try:
            predictions = query_catalog.run_query(clients, "nights.written_rows", game_date=day)
        except OnCallError as error:
            problems.append(Problem.from_error(f"proof for {day}", clients.now(), error))
            continue
        sources.append(predictions.source)
        if LINE_COLUMN in predictions.absent_columns:
            message = f"The predictions table has no column {LINE_COLUMN}, so which rows are merged is not recorded."
            problems.append(Problem(f"proof for {day}", clients.now(), message))
            continue
        merged_keys[day] = {business_key({**row, "game_date": day}) for row in predictions.rows}
    unmerged = {name: _count_unmerged(table_contents, merged_keys) for name, table_contents in contents.items()}
    return unmerged, tuple(problems)


def _count_unmerged(contents: Contents, merged_keys: Mapping[date, set[BusinessKey]]) -> int | None:
    """How many rows of a table have no row of their key in the predictions table; None where that is not known."""
    if contents.keys is None or not contents.dates <= merged_keys.keys():
        return None
    return sum(key not in merged_keys[date.fromisoformat(key.game_date)] for key in contents.keys)


def _running_batches(clients: Clients, items: Sequence[TableListItem]) -> tuple[set[str], tuple[Problem, ...]]:
    """The batches that run now. Only dates with a table that is not old are read: each costs two queries at every plan."""
    since = clients.now() - timedelta(hours=clients.settings.orphan_after_h)
    recent = [item for item in items if (read_original_created(item) or clients.now()) >= since]
    running: set[str] = set()
    problems: list[Problem] = []
    game_dates = {parse_staging_table_name(item.table_id)[2] for item in recent}
    for day in sorted(filter(None, game_dates)):
        try:
            batches = read_batches(clients, day)
        except OnCallError as error:
            problems.append(Problem.from_error(f"batches of {day}", clients.now(), error))
            continue
        running |= {batch.batch_id for batch in batches.running}
        problems += [batches.ledger_problem] if batches.ledger_problem else []
    return running, tuple(problems)


def _to_staging_table(
    clients: Clients, item: TableListItem, contents: Contents | None, unmerged: int | None, running: set[str]
) -> StagingTable:
    name, created = item.table_id, read_original_created(item) or clients.now()
    batch_id, worker, game_date = parse_staging_table_name(name)
    if unmerged is None and contents is not None and contents.rows == 0:
        unmerged = 0
    old = clients.now() - created > timedelta(hours=clients.settings.orphan_after_h)
    return StagingTable(
        table=f"{DATASET}.{name}",
        batch_id=batch_id,
        worker=worker,
        game_date=game_date,
        rows=contents.rows if contents else None,
        size_bytes=contents.size_bytes if contents else None,
        created=created,
        expires=item.expires,
        unmerged_rows=unmerged,
        state=classify(unmerged, old, batch_id in running),
        players=tuple(sorted(contents.players)) if contents is not None and contents.keys is not None else None,
    )


def mark_copies(tables: Iterable[StagingTable]) -> tuple[StagingTable, ...]:
    """Compacted tables beside the tables that they were made from are copies; alone, they hold their rows."""
    tables = tuple(tables)
    batches_with_units = {t.batch_id for t in tables if not is_compact_table(t.table, t.batch_id)}
    return tuple(
        replace(t, is_copy=is_compact_table(t.table, t.batch_id) and t.batch_id in batches_with_units) for t in tables
    )


def classify(unmerged_rows: int | None, old: bool, batch_runs: bool) -> StagingTableState:
    """What a table is: proof first, then its batch, then its age. Without proof it is never called merged."""
    if batch_runs:
        return StagingTableState.RUNNING
    if unmerged_rows is None:
        return StagingTableState.UNKNOWN
    if unmerged_rows == 0:
        return StagingTableState.MERGED
    return StagingTableState.ORPHAN if old else StagingTableState.WAITING


def totals_by_batch(tables: Iterable[StagingTable]) -> tuple[BatchTotal, ...]:
    """One total per batch, worst state first."""
    groups: dict[str, list[StagingTable]] = defaultdict(list)
    for table in tables:
        groups[table.batch_id].append(table)
    batch_totals = [_batch_total(batch_id, group) for batch_id, group in groups.items()]
    order = list(StagingTableState)
    return tuple(sorted(batch_totals, key=lambda total: (order.index(total.state), total.oldest)))


def _batch_total(batch_id: str, group: list[StagingTable]) -> BatchTotal:
    order = list(StagingTableState)
    return BatchTotal(
        batch_id=batch_id,
        game_date=group[0].game_date,
        tables=len(group),
        players=None if any(t.players is None for t in group) else len({p for t in group for p in t.players or ()}),
        rows=sum_or_unknown(t.rows for t in group if not t.is_copy),
        size_bytes=sum_or_unknown(t.size_bytes for t in group),
        oldest=min(t.created for t in group),
        unmerged_rows=sum_or_unknown(t.unmerged_rows for t in group if not t.is_copy),
        state=min((t.state for t in group), key=order.index),
    )


def _health(tables: tuple[StagingTable, ...]) -> Health:
    return worst(HEALTH_BY_TABLE_STATE[table.state] for table in tables) if tables else Health.OK
