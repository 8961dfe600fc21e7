"""Questions so plain that listing their table answers them, for nothing: columns of one table, rows by simple comparisons.

A query with `-- @plain` in its header is one; `parse` refuses it when its SQL says more. Listing a table (tabledata.list)
bills nothing, where a query bills 10 MiB at least. Both ways give the same rows; which one is taken depends on the table.
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

from services.core.errors import CatalogError, MissingInWarehouse
from services.gcp.clients import Cloud

MOST_LISTED = 20_000  # rows of a table that is listed whole; a larger one is asked by SQL
MOST_PARTITIONS = 31
_FORM = re.compile(r"SELECT (?P<columns>.+?) FROM (?P<table>\w+\.\w+)(?: WHERE (?P<where>.+))?", re.DOTALL)
_COLUMN = re.compile(r"(\w+)(?: AS (\w+))?")
_CONDITION = re.compile(r"(\w+) (=|<|<=|>|>=) @(\w+)")
_HOLDS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Condition:
    column: str
    sign: str
    param: str


@dataclass(frozen=True)
class Plain:
    """The parts of a plain query: `columns` as (column, name in the answer)."""

    columns: tuple[tuple[str, str], ...]
    table: str
    conditions: tuple[Condition, ...]

    @property
    def needed(self) -> set[str]:
        return {column for column, _ in self.columns} | {each.column for each in self.conditions}


def parse(name: str, sql: str) -> Plain:
    """The parts of `sql`; raises CatalogError when it is not plain."""
    form = _FORM.fullmatch(" ".join(sql.split()))
    columns = [_COLUMN.fullmatch(part.strip()) for part in form["columns"].split(",")] if form else []
    conditions = [_CONDITION.fullmatch(part) for part in (form["where"] or "").split(" AND ") if part] if form else []
    if form is None or None in columns or None in conditions:
        raise CatalogError(f"{name} says @plain, but it is more than columns of one table under simple conditions.")
    return Plain(
        tuple((c[1], c[2] or c[1]) for c in columns if c),
        form["table"],
        tuple(Condition(c[1], c[2], c[3]) for c in conditions if c),
    )


def places(plain: Plain, table: Table, params: Mapping[str, Any]) -> tuple[str, ...] | None:
    """What to list: the partitions that the conditions leave, or the whole of a small table; None: ask by SQL.

    Rows in a streaming buffer stand in no partition yet, so such a table is listed whole or not at all.
    """
    by = table.time_partitioning
    if table.table_type not in (None, "TABLE") or not plain.needed <= {column.name for column in table.schema}:
        return None
    if by is not None and by.type_ == "DAY" and by.field and table.streaming_buffer is None:
        days = _days([c for c in plain.conditions if c.column == by.field], params)
        if days is not None:
            return tuple(f"{plain.table}${day:%Y%m%d}" for day in days)
    return (plain.table,) if (table.num_rows or 0) <= MOST_LISTED else None


def rows(cloud: Cloud, plain: Plain, table: Table, params: Mapping[str, Any]) -> tuple[dict[str, Any], ...] | None:
    """The rows that the query would give, in no order; None when the table does not lend itself to it."""
    where = places(plain, table, params)
    if where is None:
        return None
    limit_s = cloud.settings.query_timeout_s
    retry, wanted = DEFAULT_RETRY.with_timeout(limit_s), [c for c in table.schema if c.name in plain.needed]
    found: list[dict[str, Any]] = []
    for place in where:
        listed = cloud.bigquery.list_rows(place, selected_fields=wanted, page_size=10_000, retry=retry, timeout=limit_s)
        found += _chosen(plain, listed, params)
    return tuple(found)


def look(cloud: Cloud, table: str) -> Table:
    """What a table tells of itself (tables.get, free): its columns, partitions, rows, and when it was last changed."""
    limit_s = cloud.settings.query_timeout_s
    try:
        return cloud.bigquery.get_table(table, retry=DEFAULT_RETRY.with_timeout(limit_s), timeout=limit_s)
    except NotFound as gone:
        raise MissingInWarehouse(
            f"Table {cloud.settings.project}.{table} was not found.", "Check the project, dataset and table names."
        ) from gone


def _chosen(plain: Plain, listed: Iterable[Mapping[str, Any]], params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows that meet the conditions, under the answer's names. As in SQL, NULL meets none."""
    for row in listed:
        compared = [(row[each.column], _HOLDS[each.sign], params[each.param]) for each in plain.conditions]
        if all(value is not None and holds(value, wanted) for value, holds, wanted in compared):
            yield {name: row[column] for column, name in plain.columns}


def _days(conditions: list[Condition], params: Mapping[str, Any]) -> list[date] | None:
    """The days on which the partition's column can lie; None when they are not bounded, or too many."""
    low = [_day(params[c.param]) for c in conditions if c.sign in ("=", ">", ">=")]
    high = [_day(params[c.param]) for c in conditions if c.sign in ("=", "<", "<=")]
    if not low or not high:
        return None
    span = (min(high) - max(low)).days + 1
    return [max(low) + timedelta(days=i) for i in range(span)] if span <= MOST_PARTITIONS else None


def _day(value: date) -> date:
    return value.astimezone(UTC).date() if isinstance(value, datetime) else value
