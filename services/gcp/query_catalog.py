"""The query catalog: one file per query in queries/, with typed parameters, run under a bytes limit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery.enums import QueryApiMethod
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.core.errors import CatalogError, InvalidInput
from services.core.freshness import OWN_TABLE_VERSION_TTL_S, VERSION_TTL_S
from services.core.result import DataSource
from services.core.tables import OWN_DATASET
from services.gcp import table_listing
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.error_messages import translate_errors
from services.gcp.read_cache import Version
from services.gcp.table_listing import ListableQuery, fetch_table

QUERIES_DIR = Path(__file__).parents[2] / "queries"
MIB = 1024 * 1024
MIN_BILLED_MIB = 10  # BigQuery bills at least this much for each table that a query reads

_PARAM = re.compile(r"^-- @param (\w+) (ARRAY<\w+>|\w+)\s+(.+)$", re.MULTILINE)
_TABLE = re.compile(r"^-- @table (\w+)\s+(.+)$", re.MULTILINE)
_PART = re.compile(r"^-- @part (\w+)\s+(.+)$", re.MULTILINE)
_PARAM_REFERENCE = re.compile(r"@(\w+)")
_LISTABLE = re.compile(r"^-- @listable\b", re.MULTILINE)
_OPTIONAL = re.compile(r"^-- @optional (\w+)  .+$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SOURCE_TABLE = re.compile(r"\b(?:FROM|JOIN)\s+`?(\w+\.\w+)\b", re.IGNORECASE)
_TABLE_ID = re.compile(r"^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]\.)?[A-Za-z0-9_]{1,1024}\.[A-Za-z0-9_]{1,1024}\*?$")

Row = Mapping[str, Any]  # a query's row by column name, where its reader has no type of its own
Tables = Mapping[str, str | Sequence[str]]  # by placeholder: one table, or several of one schema
QueryParameter = bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter


@dataclass(frozen=True)
class Query:
    """One query: its `name` (folder.file), its `description`, its SQL, parameter types and table placeholders."""

    name: str
    description: str
    sql: str
    params: Mapping[str, str]
    tables: tuple[str, ...]
    listable: ListableQuery | None = None  # its parts, where listing the table gives the same rows

    @cached_property
    def source_tables(self) -> tuple[str, ...]:
        """The tables that its SQL names, as dataset.table."""
        return tuple(dict.fromkeys(_SOURCE_TABLE.findall(self.sql)))

    @property
    def cacheable(self) -> bool:
        """Whether it only reads, and only tables that report when they were last changed."""
        return self.sql.upper().startswith(("SELECT", "WITH")) and not self.tables and bool(self.source_tables)

    def bind(self, **values: Any) -> list[QueryParameter]:
        """Typed parameters for exactly the declared names; raises CatalogError for any other set."""
        if set(values) != set(self.params):
            raise CatalogError(f"{self.name} takes {sorted(self.params)}, got {sorted(values)}.")
        return [_parameter(name, self.params[name], value) for name, value in values.items()]

    def render(self, tables: Tables) -> str:
        """The SQL with its table placeholders filled; raises CatalogError for other ones, InvalidInput for a bad name.

        Several tables are filled in as their union, where `our_table` is the name of each row's.
        """
        if set(tables) != set(self.tables):
            raise CatalogError(f"{self.name} takes tables {sorted(self.tables)}, got {sorted(tables)}.")
        if not tables:
            return self.sql
        return _PLACEHOLDER.sub(lambda placeholder: _from_item(tables[placeholder[1]]), self.sql)


@dataclass(frozen=True)
class QueryResult:
    """Rows as dicts by column name, and where they came from; `absent_columns` are NULL because the table does not have them."""

    rows: tuple[dict[str, Any], ...]
    source: DataSource
    absent_columns: frozenset[str] = frozenset()


def quote_table_id(name: str) -> str:
    """`dataset.table` (or `project.dataset.table`, or a prefix ending in *) quoted for SQL; raises InvalidInput for anything else."""
    if not _TABLE_ID.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not a table name.", "Give it as dataset.table, with letters, digits and _ only."
        )
    return f"`{name}`"


def _from_item(tables: str | Sequence[str]) -> str:
    if isinstance(tables, str):
        return quote_table_id(tables)
    selects = [f"SELECT '{name}' AS our_table, * FROM {quote_table_id(name)}" for name in tables]
    return "(\n" + "\nUNION ALL\n".join(selects) + "\n)"


@cache
def load(name: str) -> Query:
    """The query `folder.file`; raises CatalogError when there is none or its header and its SQL disagree."""
    path = QUERIES_DIR.joinpath(*name.split(".")).with_suffix(".sql")
    if not re.fullmatch(r"\w+\.\w+", name) or not path.is_file():
        raise CatalogError(f"There is no query {name!r} in queries/.")
    return parse(name, path.read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Query:
    """Parse a query file; raises CatalogError unless each parameter and table placeholder is declared and each declaration used."""
    params = {match[1]: match[2] for match in _PARAM.finditer(text)}
    tables = tuple(match[1] for match in _TABLE.finditer(text))
    sql = _with_parts(name, text)
    used, placeholders = set(_PARAM_REFERENCE.findall(sql)), set(_PLACEHOLDER.findall(sql))
    if used != set(params):
        raise CatalogError(f"{name} declares {sorted(params)} but uses {sorted(used)}.")
    if placeholders != set(tables):
        raise CatalogError(f"{name} declares tables {sorted(tables)} but names {sorted(placeholders)}.")
    description = text.splitlines()[0].removeprefix("--").strip()
    if not text.startswith("-- ") or not description:
        raise CatalogError(f"{name} does not start with the question it answers.")
    optional = _OPTIONAL.findall(text)
    if optional and not _LISTABLE.search(text):
        raise CatalogError(f"{name} says @optional {optional[0]}, which only a @listable query may.")
    listable = table_listing.parse(name, sql, optional) if _LISTABLE.search(text) else None
    return Query(name, description, sql, params, tables, listable)


def _with_parts(name: str, text: str) -> str:
    """The SQL without its header; each declared part (a file that several queries share) replaces its placeholder, recursively.

    A part that is a table's name stands as it is, so that the query still reads that table; any other in parentheses.
    """
    sql = _strip_comments(text)
    for match in _PART.finditer(text):
        path, placeholder = QUERIES_DIR / "parts" / f"{match[1]}.sql", f"{{{match[1]}}}"
        if placeholder not in sql or not path.is_file():
            raise CatalogError(f"{name} declares the part {match[1]}, which it does not use or which is not there.")
        part_sql = _with_parts(match[1], path.read_text(encoding="utf-8"))
        sql = sql.replace(placeholder, part_sql if _TABLE_ID.fullmatch(part_sql) else f"(\n{part_sql}\n)")
    return sql


def _strip_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def run_query(
    clients: Clients, name: str, *, tables: Tables | None = None, job_id: str | None = None, **params: Any
) -> QueryResult:
    """Run the query `name`; raises an OnCallError (which quotes the SQL's line) when BigQuery fails.

    With `clients.cache`, a result whose tables have not changed since is returned again, for free.
    """
    query = load(name)
    sql, values = query.render(tables or {}), query.bind(**params)
    read_cache = clients.cache
    if not read_cache.reuse_answers or job_id is not None or not query.cacheable:
        return _run_or_list(clients, query, sql, values, params, job_id)
    key = (name, *(f"{param}={value!r}" for param, value in sorted(params.items())))

    def read_rows(versions: tuple[Version, ...]) -> tuple[QueryResult, bool]:
        return read_cache.cached_rows(
            key,
            versions,
            lambda: _run_or_list(clients, query, sql, values, params, None, versions[0].table),
            lambda fetched: len(fetched.rows),
        )

    known_versions = read_cache.known_versions(query.source_tables) if key not in read_cache else None
    with translate_errors(f"BigQuery ({name})", sql):
        if known_versions is None:
            versions = _read_versions(clients, query.source_tables)
            result, from_cache = read_rows(versions)
        else:
            # Rows of a first read are read while the tables are checked: if one has changed, they are read again.
            with concurrent_reads() as pool:
                early = pool.submit(read_rows, known_versions)
                versions = _read_versions(clients, query.source_tables)
            unchanged = [v.fingerprint for v in versions] == [v.fingerprint for v in known_versions]
            result, from_cache = early.result() if unchanged else read_rows(versions)
    return replace(result, source=_with_cache_age(clients, result.source, versions)) if from_cache else result


def submit_query(pool: Executor, clients: Clients, name: str, **params: Any) -> Future[QueryResult]:
    """Run the query `name` in a thread of the pool, beside other reads."""
    return pool.submit(lambda: run_query(clients, name, **params))


def _read_versions(clients: Clients, tables: tuple[str, ...]) -> tuple[Version, ...]:
    def read(table: str) -> Version:
        return clients.cache.table_version(table, partial(fetch_table, clients), _version_ttl(table))

    if len(tables) == 1:
        return (read(tables[0]),)
    with concurrent_reads() as pool:
        return tuple(pool.map(read, tables))


def dry_run_bytes(clients: Clients, name: str, **params: Any) -> int:
    """The bytes that `name` would read, by a dry run, which is free."""
    query = load(name)
    config = bigquery.QueryJobConfig(query_parameters=query.bind(**params), dry_run=True)
    with translate_errors(f"BigQuery ({name}, planned only)", query.sql):
        return int(_start_job(clients, query.sql, config).total_bytes_processed or 0)


def _run_or_list(
    clients: Clients,
    query: Query,
    sql: str,
    values: list[QueryParameter],
    params: Mapping[str, Any],
    job_id: str | None,
    table: bigquery.Table | None = None,
) -> QueryResult:
    if query.listable is None:
        return _run_sql(clients, query.name, sql, values, job_id)
    with translate_errors(f"BigQuery ({query.name})"):
        table = table or fetch_table(clients, query.listable.table)
        absent = query.listable.absent_from(table)
        rows = table_listing.list_matching_rows(clients, query.listable, table, params)
    if rows is not None:
        return QueryResult(rows, DataSource(f"BigQuery, {query.name}", clients.now(), detail="tabledata.list"), absent)
    sql = query.listable.sql_without(absent) if absent else sql
    return replace(_run_sql(clients, query.name, sql, values, job_id), absent_columns=absent)


def _run_sql(clients: Clients, name: str, sql: str, values: list[QueryParameter], job_id: str | None) -> QueryResult:
    config = bigquery.QueryJobConfig(
        query_parameters=values, maximum_bytes_billed=clients.settings.max_bytes_billed_mib * MIB
    )
    timeout_s = clients.settings.query_timeout_s
    # jobs.query answers with the rows, where jobs.insert needs two calls more; only jobs.insert takes an id.
    method = QueryApiMethod.QUERY if job_id is None else QueryApiMethod.INSERT
    with translate_errors(f"BigQuery ({name})", sql):
        job = _start_job(clients, sql, config, job_id, method)
        row_iterator = job.result(retry=DEFAULT_RETRY.with_timeout(timeout_s), job_retry=None, timeout=timeout_s)
        rows = tuple(dict(row) for row in row_iterator)
    source = DataSource(f"BigQuery, {name}", clients.now(), job.total_bytes_billed or 0, job.job_id)
    clients.cache.usage.record_query(source.bytes_billed)
    return QueryResult(rows, source)


def _start_job(
    clients: Clients,
    sql: str,
    config: bigquery.QueryJobConfig,
    job_id: str | None = None,
    method: QueryApiMethod = QueryApiMethod.INSERT,
) -> bigquery.QueryJob:
    timeout_s = clients.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(timeout_s)
    return clients.bigquery.query(
        sql, config, job_id=job_id, retry=retry, job_retry=None, timeout=timeout_s, api_method=method
    )


def _version_ttl(table: str) -> float:
    return OWN_TABLE_VERSION_TTL_S if table.startswith(f"{OWN_DATASET}.") else VERSION_TTL_S


def _with_cache_age(clients: Clients, source: DataSource, versions: tuple[Version, ...]) -> DataSource:
    """The source of a cached result, free this time: as old as the last check of its tables, if they report every change."""
    if not all(version.reports_changes for version in versions):
        return replace(source, bytes_billed=0)
    checked_at = clients.now() - timedelta(seconds=max(version.age_s for version in versions))
    return replace(source, read_at=max(source.read_at, checked_at), bytes_billed=0)


def parse_json_column(value: Any) -> Any:
    """A JSON column's value, whether the client has parsed it already or not."""
    return json.loads(value) if isinstance(value, str) else value


def _parameter(name: str, kind: str, value: Any) -> QueryParameter:
    if kind.startswith("ARRAY<"):
        return bigquery.ArrayQueryParameter(name, kind.removeprefix("ARRAY<").removesuffix(">"), list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)
