"""Free reads: a query that only selects columns of one table under simple conditions is answered by listing the table.

A query with `-- @listable` in its header is one; `parse` refuses it when its SQL does more. Listing a table (tabledata.list)
bills nothing, where a query bills 10 MiB at least. Both ways give the same rows; which one is taken depends on the table: rows in a
streaming buffer are not listed, so a table that is streamed into is queried.

A column that its header calls `-- @optional` is NULL where the table's metadata has no such column.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.bigquery import Table
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.core.errors import CatalogError, TableAbsent, TableNotFound
from services.core.tables import OWN_DATASET, STREAMED_TABLES
from services.gcp.clients import Clients
from services.gcp.error_messages import iterate_pages

MAX_LISTED_ROWS = 20_000  # rows of a table that is listed whole; a larger one is queried
MAX_PARTITIONS = 31  # days that are listed one by one; more are queried
_SELECT_STATEMENT = re.compile(r"SELECT (?P<columns>.+?) FROM (?P<table>\w+\.\w+)(?: WHERE (?P<where>.+))?", re.DOTALL)
_COLUMN = re.compile(r"(\w+)(?: AS (\w+))?")
_CONDITION = re.compile(r"(\w+) (=|<|<=|>|>=) @(\w+)")
_OPERATORS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Condition:
    """One `column op @param` of the WHERE clause."""

    column: str
    op: str
    param: str


@dataclass(frozen=True)
class ListableQuery:
    """The parts of a listable query: `columns` as (column, name in the result); the `optional` ones may be absent from the table."""

    columns: tuple[tuple[str, str], ...]
    table: str
    conditions: tuple[Condition, ...]
    optional: frozenset[str] = frozenset()

    @property
    def required_columns(self) -> set[str]:
        """The columns that every installation's table has."""
        return self._named_columns - self.optional

    @property
    def _named_columns(self) -> set[str]:
        return {column for column, _ in self.columns} | {condition.column for condition in self.conditions}

    def columns_in(self, table: Table) -> set[str]:
        """Those of its columns that the table has."""
        return self._named_columns & {field.name for field in table.schema}

    def absent_from(self, table: Table) -> frozenset[str]:
        """The optional columns that the table does not have."""
        return self.optional - self.columns_in(table)

    def sql_without(self, absent: frozenset[str]) -> str:
        """Its SQL for a table without these columns: they are NULL."""
        columns = ", ".join(f"{'NULL' if column in absent else column} AS {name}" for column, name in self.columns)
        where = " AND ".join(f"{c.column} {c.op} @{c.param}" for c in self.conditions)
        return " ".join(("SELECT", columns, "FROM", self.table, *(("WHERE", where) if where else ())))


def parse(name: str, sql: str, optional: Iterable[str] = ()) -> ListableQuery:
    """The parts of `sql`; raises CatalogError when it does more than a listing can, or needs an optional column."""
    match = _SELECT_STATEMENT.fullmatch(" ".join(sql.split()))
    columns = [_COLUMN.fullmatch(part.strip()) for part in match["columns"].split(",")] if match else []
    conditions = [_CONDITION.fullmatch(part) for part in (match["where"] or "").split(" AND ") if part] if match else []
    if match is None or None in columns or None in conditions:
        raise CatalogError(f"{name} says @listable, but it is more than columns of one table under simple conditions.")
    if match["table"] in STREAMED_TABLES:
        raise CatalogError(f"{name} says @listable, but streamed rows of {match['table']} are in no listing.")
    query = ListableQuery(
        tuple((c[1], c[2] or c[1]) for c in columns if c),
        match["table"],
        tuple(Condition(c[1], c[2], c[3]) for c in conditions if c),
        frozenset(optional),
    )
    selected = {column for column, _ in query.columns}
    if misused := (query.optional - selected) | (query.optional & {c.column for c in query.conditions}):
        raise CatalogError(f"{name} says @optional {min(misused)}, which it does not select or has a condition on.")
    return query


def partitions_to_list(query: ListableQuery, table: Table, params: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What to list: the partitions that the conditions allow, or the whole of a small table; None: run the SQL."""
    if not is_listable(table) or not query.required_columns <= query.columns_in(table):
        return None
    if (partition_column := day_partition_column(table)) is not None:
        days = _partition_days([c for c in query.conditions if c.column == partition_column], params)
        if days is not None:
            return tuple(f"{query.table}${day:%Y%m%d}" for day in days)
    return (query.table,) if (table.num_rows or 0) <= MAX_LISTED_ROWS else None


def is_listable(table: Table) -> bool:
    """Whether tabledata.list gives every row: not of a view, and not while there is a streaming buffer."""
    return table.table_type in (None, "TABLE") and table.streaming_buffer is None


def day_partition_column(table: Table) -> str | None:
    """The column by whose days a table is partitioned, so that `table$YYYYMMDD` is a day of it; None for any other table."""
    partitioning = table.time_partitioning
    return partitioning.field if partitioning is not None and partitioning.type_ == "DAY" else None


def list_matching_rows(
    clients: Clients, query: ListableQuery, table: Table, params: Mapping[str, Any]
) -> tuple[dict[str, Any], ...] | None:
    """The rows that the query would give, in no order; None when the table cannot be listed for it."""
    partitions = partitions_to_list(query, table, params)
    if partitions is None:
        return None
    timeout_s = clients.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(timeout_s)
    present = query.columns_in(table)
    selected_fields = [column for column in table.schema if column.name in present]
    matching_rows: list[dict[str, Any]] = []
    for partition in partitions:
        listed_rows = clients.bigquery.list_rows(
            partition, selected_fields=selected_fields, page_size=10_000, retry=retry, timeout=timeout_s
        )
        rows = iterate_pages(f"BigQuery tabledata.list of {partition}", listed_rows)
        matching_rows += _filter_rows(query, rows, params)
    return tuple(matching_rows)


def fetch_table(clients: Clients, table: str) -> Table:
    """A table's metadata (tables.get, free): columns, partitions, row count, last change; raises TableAbsent.

    deploy/apply.sh creates our own tables together: of one that is absent beside another, raises TableNotFound, for what it
    recorded is lost, not unrecorded.
    """
    timeout_s = clients.settings.query_timeout_s
    options: dict[str, Any] = {"retry": DEFAULT_RETRY.with_timeout(timeout_s), "timeout": timeout_s}
    try:
        return clients.bigquery.get_table(table, **options)
    except NotFound as error:
        text = f"Table {clients.settings.project}.{table} was not found"
        if table.startswith(f"{OWN_DATASET}.") and (other := _first_own_table(clients, options)):
            message = f"{text}, though {OWN_DATASET}.{other} is there: it was deleted, or not deployed."
            raise TableNotFound(message, "Restore it, or run deploy/apply.sh, which creates an empty one.") from error
        raise TableAbsent(f"{text}.", "Check the project, dataset and table names.") from error


def _first_own_table(clients: Clients, options: Mapping[str, Any]) -> str:
    """The name of one of our own tables; "" where there is none."""
    try:
        listing = clients.bigquery.list_tables(OWN_DATASET, max_results=1, **options)
        return next((str(table.table_id) for table in iterate_pages("BigQuery tables.list", listing)), "")
    except NotFound:
        return ""


def _filter_rows(
    query: ListableQuery, listed_rows: Iterable[Mapping[str, Any]], params: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The rows that satisfy the conditions, under the result's names. As in SQL, NULL satisfies none."""
    for row in listed_rows:
        comparisons = [
            (row[condition.column], _OPERATORS[condition.op], params[condition.param]) for condition in query.conditions
        ]
        if all(value is not None and compare(value, expected) for value, compare, expected in comparisons):
            yield {name: row.get(column) for column, name in query.columns}


def _partition_days(conditions: list[Condition], params: Mapping[str, Any]) -> list[date] | None:
    """The days that the partition column's conditions allow; None when they are unbounded or too many."""
    lower_bounds = [_to_utc_date(params[c.param]) for c in conditions if c.op in ("=", ">", ">=")]
    upper_bounds = [_to_utc_date(params[c.param]) for c in conditions if c.op in ("=", "<", "<=")]
    if not lower_bounds or not upper_bounds:
        return None
    day_count = (min(upper_bounds) - max(lower_bounds)).days + 1
    return [max(lower_bounds) + timedelta(days=i) for i in range(day_count)] if day_count <= MAX_PARTITIONS else None


def _to_utc_date(value: date) -> date:
    return value.astimezone(UTC).date() if isinstance(value, datetime) else value
