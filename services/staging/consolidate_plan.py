"""Plans the consolidation of a leftover batch: what its MERGEs will do to each game date, counted as they will decide it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import chain

from services.actions.plan import TITLE_SEPARATOR, Change, Figure, Guard, Params, Plan
from services.batches.ids import DATASET, is_batch_id, is_unit_table, read_batch_date, staging_prefix
from services.batches.staged_rows import READ_THREADS, Contents, read_contents
from services.batches.staging_listing import list_staging_tables
from services.core.commands import curl_command
from services.core.errors import InvalidInput, OnCallError
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.query_catalog import MIN_BILLED_MIB
from services.nights.coverage_count import count_coverage
from services.nights.player_stages import read_night
from services.pipeline.merge import MergeCounts
from services.pipeline.older_runs import find_older_runs, without_runs
from services.pipeline.row_versions import KeyedVersion, StagedRows
from services.pipeline.warehouse import BigQueryWarehouse, StagingTableInfo
from services.staging.running_batch import guard_no_batch_runs

MAX_COUNTED_TABLES = 1_000  # tables that one query may read; what the MERGEs of more will do is not counted
OTHER_TABLES = 2  # that the count reads: predictions and contexts


@dataclass(frozen=True)
class StagedBatch:
    """The staging tables of a batch, their rows by game date, and what the MERGEs will do; None: not known, for `reason`.

    `replaced_rows` are in no count: a newer table of the batch replaces them, as services/pipeline/older_runs.py decides.
    """

    tables: Sequence[StagingTableInfo]
    rows_by_date: Mapping[date, int] | None
    counts: Sequence[MergeCounts] | None
    reason: str = ""
    replaced_rows: int = 0
    is_countable: bool = True  # False: the MERGEs can be made, but one query cannot count over these tables

    @property
    def streaming(self) -> list[str]:
        """The tables with rows in a streaming buffer, which no count and no copy has."""
        return [table.table for table in self.tables if table.streaming]

    @property
    def rows(self) -> int:
        """The rows of all tables, without those in a streaming buffer."""
        return sum(table.rows for table in self.tables)

    def total(self, *outcomes: str) -> int | None:
        """How many rows have one of these outcomes of the MERGE, over all game dates."""
        if self.counts is None:
            return None
        return sum(int(getattr(counts, outcome)) for counts in self.counts for outcome in outcomes)


def plan_consolidate(clients: Clients, args: Params) -> Plan:
    """Merge what the staging tables of `batch_id` hold; raises InvalidInput when there is no such table."""
    batch_id = str(args.get("batch_id") or "")
    batch = _read_batch(clients, batch_id)
    game_date = read_batch_date(batch_id) or min(batch.rows_by_date or (), default=None)
    if game_date is None:
        raise InvalidInput(
            f"{batch_id} has no game date in its id, and its rows do not tell one yet.", "Retry in a minute."
        )
    outdated = batch.total("outdated", "superseded")
    return Plan(
        action_name="staging.consolidate",
        target=batch_id,
        title=f"Consolidate {pluralize(batch.rows, 'row')} of {pluralize(len(batch.tables), 'staging table')}{TITLE_SEPARATOR}{batch_id}",
        args={"batch_id": batch_id, "game_date": str(game_date)},
        preconditions={t.table.rpartition(".")[2]: {"rows": t.rows, "version": t.version} for t in batch.tables},
        figures=tuple(_figures(batch)),
        changes=tuple(_changes(batch)),
        guards=tuple(_guards(clients, game_date, batch)),
        planned_at=clients.now(),
        undo="No one-click undo. BigQuery time travel keeps the previous state for 7 days.",
        cost=f"{pluralize(len(batch.rows_by_date or [game_date]), 'MERGE')}, each over the rows of one game date.",
        warnings=(
            (f"{outdated:,} of {batch.rows:,} rows are older than the rows of the predictions table, which stay.",)
            if outdated
            else ()
        ),
        commands=(curl_command(clients.settings, "/resume", {"batch_id": batch_id}),),
        coverage=count_coverage(read_night(clients, game_date)),
    )


def list_batch_tables(clients: Clients, batch_id: str) -> list[str]:
    """The names of a batch's staging tables that are there now."""
    listed = list_staging_tables(clients, staging_prefix(batch_id))
    return [item.table_id for item in listed if is_unit_table(item.table_id, batch_id)]


def _read_batch(clients: Clients, batch_id: str) -> StagedBatch:
    items = list_staging_tables(clients, staging_prefix(batch_id)) if batch_id else ()
    units = [item for item in items if is_unit_table(item.table_id, batch_id)]
    if not units:
        if not is_batch_id(batch_id):
            raise InvalidInput(f"{batch_id!r} is not a batch.", "Select one on the Staging tables page.")
        raise InvalidInput(f"{batch_id} has no staging table, so there is nothing to consolidate.", "Refresh the list.")
    with translate_errors("BigQuery tables.get"):
        tables = BigQueryWarehouse(clients).describe_tables([f"{DATASET}.{item.table_id}" for item in units])
    contents = read_contents(clients, units)
    keys = [table.keys for table in contents.values()]
    if len(contents) < len(tables) or None in keys:
        return StagedBatch(tables, None, None, "the rows of some tables are not read yet, or cannot be read")
    rows_by_date = Counter(date.fromisoformat(key.game_date) for table_keys in keys for key in table_keys or ())
    if len(items) > min(len(units), MAX_COUNTED_TABLES):
        return StagedBatch(
            tables, rows_by_date, None, f"{len(items):,} tables cannot be counted by one query", is_countable=False
        )
    billed_mib, limit_mib = (len(units) + OTHER_TABLES) * MIN_BILLED_MIB, clients.settings.max_bytes_billed_mib
    if billed_mib > limit_mib:
        reason = f"to count over {len(units):,} tables bills {billed_mib:,} MiB, and QUERY_LIMIT_MIB is {limit_mib:,}"
        return StagedBatch(tables, rows_by_date, None, reason, is_countable=False)
    try:
        counts, replaced_rows = _count(clients, batch_id, sorted(rows_by_date), contents.values())
    except OnCallError as error:
        return StagedBatch(tables, rows_by_date, None, str(error))
    return StagedBatch(tables, rows_by_date, counts, replaced_rows=replaced_rows)


def _count(
    clients: Clients, batch_id: str, dates: Sequence[date], contents: Iterable[Contents]
) -> tuple[list[MergeCounts], int]:
    """What the MERGE of each date will do, and how many rows of all dates a newer table of the batch replaces."""
    warehouse, source = BigQueryWarehouse(clients), f"{DATASET}.{staging_prefix(batch_id)}*"
    counts, replaced_rows = [], 0
    with translate_errors("BigQuery (staging tables)"):
        shared_tables = _read_shared_tables(warehouse, contents)
        for game_date in dates:
            tables = [[(key, row) for key, row in rows if key.game_date == str(game_date)] for rows in shared_tables]
            staged = StagedRows(chain.from_iterable(tables))
            older_runs = find_older_runs(staged, tables)
            replaced_rows += len(staged) - len(without_runs(staged, older_runs))
            counts.append(warehouse.count_outcomes(source, game_date, older_runs))
    return counts, replaced_rows


def _read_shared_tables(warehouse: BigQueryWarehouse, contents: Iterable[Contents]) -> list[list[KeyedVersion]]:
    """The rows of each table with a player and system that another table has too: of no other is anything replaced."""
    players = {table.name: {key.player_system for key in table.keys or ()} for table in contents}
    tables_of = Counter(chain.from_iterable(players.values()))
    shared = [f"{DATASET}.{name}" for name in players if any(tables_of[player] > 1 for player in players[name])]
    with ThreadPoolExecutor(READ_THREADS) as pool:
        return list(pool.map(lambda table: list(warehouse.read_rows(table)), shared))


def _figures(batch: StagedBatch) -> Iterator[Figure]:
    yield Figure("Staging tables", f"{len(batch.tables):,}", "0", "dropped after verification")
    yield Figure("Staged rows", f"{batch.rows:,}", "0")
    added, updated = batch.total("added"), batch.total("changed")
    known = "unknown" if added is None else f"+{added:,}"
    yield Figure("Prediction rows", known, known, "" if updated is None else f"{updated:,} updated")


def _changes(batch: StagedBatch) -> Iterator[Change]:
    dates = batch.rows_by_date
    by_date = "unknown" if dates is None else "; ".join(f"{day}: {rows:,}" for day, rows in sorted(dates.items()))
    yield Change("rows by game date", by_date, "consolidated, 1 MERGE per date")
    outcomes = {
        "rows added": ("whose key has no active row", ("added",)),
        "rows updated": ("newer, with other values than the active row of their key", ("changed",)),
        "rows unchanged": ("with the values of the active row of their key", ("renewed", "same")),
        "rows outdated": (
            "older than the active row of their key: none becomes active, nothing is replaced",
            ("outdated", "superseded"),
        ),
        "rows collapsed": ("not the newest of their key in this batch", ("collapsed",)),
        "active rows retired": ("lines that the players' newer rows no longer have", ("retired",)),
        "active rows of another game": ("in a game that the context has moved their player out of", ("moved",)),
        "active duplicates": ("beside a newer active row of their key", ("duplicate", "twin")),
    }
    for what, (description, names) in outcomes.items():
        count = batch.total(*names)
        if count != 0 or what in ("rows added", "rows updated", "rows unchanged"):
            yield Change(what, "", f"unknown: {batch.reason}" if count is None else f"{count:,} {description}")
    if batch.replaced_rows:
        text = f"{batch.replaced_rows:,} of players that a newer table of the batch has again: left out"
        yield Change("rows replaced", "", text)
    yield Change("staging tables", f"{len(batch.tables)}", "dropped after verification")


def _guards(clients: Clients, game_date: date, batch: StagedBatch) -> Iterator[Guard]:
    total = len(batch.tables)
    if batch.streaming:
        text = (
            f"{len(batch.streaming)} of {total} tables are still being streamed into, the first {batch.streaming[0]}."
        )
        yield Guard("no rows are streamed", False, f"{text} Consolidate when the buffer is written, within 90 minutes.")
    drifted = [table for table in batch.tables if table.columns != batch.tables[0].columns]
    rows = sum(table.rows for table in drifted)
    drift_text = (
        f"{len(drifted)} of {total} tables, with {rows:,} of {batch.rows:,} rows, have other columns than the first."
    )
    yield Guard("columns agree", not drifted, drift_text if drifted else f"All {total} tables have the same columns.")
    if batch.counts is None and batch.is_countable:
        text = f"Effect of the MERGE on {batch.rows:,} rows unknown: {batch.reason}."
        yield Guard("rows compared", None, text)
    for day in sorted({game_date, *(batch.rows_by_date or ())}):
        yield guard_no_batch_runs(clients, day)
    yield Guard("rows", batch.rows > 0, f"The tables hold {batch.rows:,} rows.")
