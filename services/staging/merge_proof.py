"""Proves before a drop how many rows of a staging table the predictions table does not hold, or that it cannot be proven."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TypedDict, cast

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from services.batches.ids import DATASET, STAGING_TABLE_PREFIX, parse_staging_table_name
from services.batches.staging_listing import read_original_created
from services.core.errors import InvalidInput, OnCallError, TableNotFound
from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors

READ_THREADS = 8


class ProofRow(TypedDict):
    """One row of queries/staging/merge_proof.sql: one staging table."""

    our_table: str
    staged_rows: int
    missing_rows: int
    changed_rows: int
    fingerprint: int | None


class DateRangeRow(TypedDict):
    """The one row of queries/staging/date_range.sql; None where the tables have no rows."""

    first_date: date | None
    last_date: date | None


@dataclass(frozen=True)
class MergeProof:
    """What is proven of one table. `error` is why nothing could be proven; then only the number of rows may be known."""

    table: str
    exists: bool
    rows: int | None = None
    missing_rows: int | None = None  # rows whose business key the predictions table does not have
    changed_rows: int | None = None  # rows whose key is there, but never with these values
    fingerprint: int | None = None
    etag: str = ""
    error: str = ""
    created: datetime | None = None  # when it was created first

    @property
    def unmerged_rows(self) -> int | None:
        return None if self.missing_rows is None or self.changed_rows is None else self.missing_rows + self.changed_rows

    @property
    def merged(self) -> bool:
        """Every row of it is in the predictions table, and that is proven."""
        return self.exists and not self.error and self.unmerged_rows == 0

    @property
    def summary(self) -> str:
        if not self.exists:
            return "does not exist"
        if self.error or self.unmerged_rows is None:
            return f"is not verified as merged: {self.error}"
        if self.merged:
            return f"all {self.rows} rows are in the predictions table"
        return f"{self.missing_rows} of {self.rows} rows are not in the predictions table, {self.changed_rows} differ"


@dataclass(frozen=True)
class MergeProofs:
    proofs: tuple[MergeProof, ...]
    sources: tuple[DataSource, ...]

    @property
    def bytes_billed(self) -> int:
        return sum(source.bytes_billed for source in self.sources)


def validate_table_names(tables: object) -> tuple[str, ...]:
    """The requested tables, without their dataset; raises InvalidInput for none at all or for one that is not staging."""
    if not isinstance(tables, list | tuple) or not tables:
        raise InvalidInput("No staging table was chosen, so there is nothing to do.", "Choose the tables first.")
    names = tuple(sorted({str(name).removeprefix(f"{DATASET}.") for name in tables}))
    for name in names:
        if not name.startswith(STAGING_TABLE_PREFIX) or not name.replace("_", "").isalnum():
            raise InvalidInput(
                f"{name!r} is not a staging table.", f"Staging tables begin with {STAGING_TABLE_PREFIX}."
            )
    return names


def read_proofs(clients: Clients, names: Sequence[str]) -> MergeProofs:
    """The proof of each table, by a query for many tables; where that fails, table by table, so that one bad one spoils no other."""
    tables = get_tables(clients, names)
    sources = [DataSource("BigQuery tables.get", clients.now())]
    rows_by_table: dict[str, ProofRow] = {}
    error_by_table: dict[str, str] = {}
    most = max(1, clients.settings.max_bytes_billed_mib // query_catalog.MIN_BILLED_MIB // 2)
    for group in _groups([table for table in tables.values() if table is not None], most):
        try:
            rows_by_table |= _query_tables(clients, group, sources)
        except OnCallError:
            _query_each_table(clients, group, rows_by_table, error_by_table, sources)
    return MergeProofs(
        tuple(_to_proof(name, tables[name], rows_by_table.get(name), error_by_table.get(name, "")) for name in names),
        tuple(sources),
    )


def get_tables(clients: Clients, names: Sequence[str]) -> dict[str, bigquery.Table | None]:
    """Each table's metadata now, by tables.get; None for one that is not there."""

    def get(name: str) -> bigquery.Table | None:
        try:
            with translate_errors(f"BigQuery ({name})"):
                return clients.bigquery.get_table(f"{DATASET}.{name}", timeout=clients.settings.query_timeout_s)
        except TableNotFound as error:
            if isinstance(error.__cause__, NotFound):
                return None
            raise

    with ThreadPoolExecutor(READ_THREADS) as pool:
        return dict(zip(names, pool.map(get, names), strict=True))


def _groups(tables: Iterable[bigquery.Table], most: int) -> Iterator[list[str]]:
    """The names of tables of one batch and one schema, so many at most: BigQuery bills at least 10 MiB for each.

    Half of what a query may bill is left for what they hold, and for the predictions table.
    """
    groups: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for table in tables:
        batch_id, *_ = parse_staging_table_name(table.table_id)
        groups[batch_id, *((field.name, field.field_type, field.mode) for field in table.schema)].append(table.table_id)
    for names in groups.values():
        for i in range(0, len(names), most):
            yield names[i : i + most]


def _query_tables(clients: Clients, group: Sequence[str], sources: list[DataSource]) -> dict[str, ProofRow]:
    tables = {"staging": [f"{DATASET}.{name}" for name in group]}
    first, last = _date_range(clients, tables, sources)
    result = query_catalog.run_query(clients, "staging.merge_proof", tables=tables, first_date=first, last_date=last)
    sources.append(result.source)
    return {row["our_table"].removeprefix(f"{DATASET}."): row for row in cast("Sequence[ProofRow]", result.rows)}


def _date_range(
    clients: Clients, tables: query_catalog.Tables, sources: list[DataSource]
) -> tuple[date | None, date | None]:
    """The first and last game date of the rows: a table may hold others than the date in its name."""
    result = query_catalog.run_query(clients, "staging.date_range", tables=tables)
    sources.append(result.source)
    row = cast("DateRangeRow", result.rows[0])
    return row["first_date"], row["last_date"]


def _query_each_table(
    clients: Clients,
    group: Sequence[str],
    rows_by_table: dict[str, ProofRow],
    error_by_table: dict[str, str],
    sources: list[DataSource],
) -> None:
    def query_table(name: str) -> tuple[str, dict[str, ProofRow], str]:
        try:
            return name, _query_tables(clients, [name], sources), ""
        except OnCallError as error:
            return name, {}, error.message

    with ThreadPoolExecutor(READ_THREADS) as pool:
        for name, rows, message in pool.map(query_table, group):
            rows_by_table |= rows
            if message:
                error_by_table[name] = message


def _to_proof(name: str, table: bigquery.Table | None, row: ProofRow | None, error: str) -> MergeProof:
    if table is None:
        return MergeProof(name, exists=False)
    known = MergeProof(name, True, etag=table.etag, created=read_original_created(table))
    if table.streaming_buffer is not None:
        return replace(known, error="rows are still being streamed into it")
    if row is None and not error and table.num_rows == 0:
        return replace(known, rows=0, missing_rows=0, changed_rows=0, fingerprint=0)
    if row is None or error:
        return replace(known, rows=table.num_rows, error=error or "its rows could not be read")
    return replace(
        known,
        rows=row["staged_rows"],
        missing_rows=row["missing_rows"],
        changed_rows=row["changed_rows"],
        fingerprint=row["fingerprint"],
    )


def snapshot(proof: MergeProof) -> dict[str, int | str | bool | None]:
    """What the decision to drop a table depends on, under the keys that a plan records."""
    return {
        "rows": proof.rows,
        "not in predictions": proof.missing_rows,
        "differing": proof.changed_rows,
        "content": str(proof.fingerprint),
        "there": proof.exists,
        "etag": proof.etag,
        "created": proof.created.isoformat() if proof.created else "",
    }
