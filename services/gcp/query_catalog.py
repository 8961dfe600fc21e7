"""The questions we ask the warehouse: a file each in queries/, with typed parameters, run under a bytes limit."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.core.errors import BadInput, CatalogError
from services.core.result import Source
from services.gcp import table_listing as listing
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from
from services.gcp.read_cache import LOOK_AT_OURS_S, LOOK_EVERY_S, Version
from services.gcp.table_listing import Plain, look

FOLDER = Path(__file__).parents[2] / "queries"
MIB = 1024 * 1024
LEAST_BILLED_MIB = 10  # BigQuery bills no table that is read with less
OURS = "prediction_on_call"  # the dataset of our own records

_PARAM = re.compile(r"^-- @param (\w+) (ARRAY<\w+>|\w+)\s+(.+)$", re.MULTILINE)
_TABLE = re.compile(r"^-- @table (\w+)\s+(.+)$", re.MULTILINE)
_PART = re.compile(r"^-- @part (\w+)\s+(.+)$", re.MULTILINE)
_USED = re.compile(r"@(\w+)")
_PLAIN = re.compile(r"^-- @plain\b", re.MULTILINE)
_PLACE = re.compile(r"\{(\w+)\}")
_READ = re.compile(r"\b(?:FROM|JOIN)\s+`?(\w+\.\w+)\b", re.IGNORECASE)
_TABLE_ID = re.compile(r"^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]\.)?[A-Za-z0-9_]{1,1024}\.[A-Za-z0-9_]{1,1024}\*?$")


@dataclass(frozen=True)
class Query:
    """One question: its `name` (folder.file), the sentence it answers, its SQL, parameter types and table places."""

    name: str
    question: str
    sql: str
    params: Mapping[str, str]
    tables: tuple[str, ...]
    plain: Plain | None = None  # its parts, where listing the table answers it as well

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The tables that its SQL names, as dataset.table."""
        return tuple(dict.fromkeys(_READ.findall(self.sql)))

    @property
    def may_be_kept(self) -> bool:
        """Whether it only reads, and only tables that say when they were changed."""
        return self.sql.upper().startswith(("SELECT", "WITH")) and not self.tables and bool(self.reads)

    def bind(self, **values: Any) -> list[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter]:
        """Typed parameters for exactly the declared names; raises CatalogError for any other set."""
        if set(values) != set(self.params):
            raise CatalogError(f"{self.name} takes {sorted(self.params)}, got {sorted(values)}.")
        return [_parameter(name, self.params[name], value) for name, value in values.items()]

    def text(self, tables: Mapping[str, str]) -> str:
        """The SQL with its table places filled; raises CatalogError for other places, BadInput for a bad table name."""
        if set(tables) != set(self.tables):
            raise CatalogError(f"{self.name} takes tables {sorted(self.tables)}, got {sorted(tables)}.")
        return _PLACE.sub(lambda place: table_id(tables[place[1]]), self.sql) if tables else self.sql


@dataclass(frozen=True)
class Answer:
    """Rows as dicts by column name, and where they came from."""

    rows: tuple[dict[str, Any], ...]
    source: Source


def table_id(name: str) -> str:
    """`dataset.table` (or `project.dataset.table`, or a prefix ending in *) quoted for SQL; anything else is BadInput."""
    if not _TABLE_ID.fullmatch(name):
        raise BadInput(f"{name!r} is not a table name.", "Give it as dataset.table, with letters, digits and _ only.")
    return f"`{name}`"


@cache
def load(name: str) -> Query:
    """The query `folder.file`; raises CatalogError when there is none or its header and its SQL disagree."""
    path = FOLDER.joinpath(*name.split(".")).with_suffix(".sql")
    if not re.fullmatch(r"\w+\.\w+", name) or not path.is_file():
        raise CatalogError(f"There is no query {name!r} in queries/.")
    return parse(name, path.read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Query:
    """Check a query's text against its header: every parameter and table place declared, every declaration used."""
    params = {match[1]: match[2] for match in _PARAM.finditer(text)}
    tables = tuple(match[1] for match in _TABLE.finditer(text))
    sql = _with_parts(name, text)
    used, places = set(_USED.findall(sql)), set(_PLACE.findall(sql))
    if used != set(params):
        raise CatalogError(f"{name} declares {sorted(params)} but uses {sorted(used)}.")
    if places != set(tables):
        raise CatalogError(f"{name} declares tables {sorted(tables)} but names {sorted(places)}.")
    question = text.splitlines()[0].removeprefix("--").strip()
    if not text.startswith("-- ") or not question:
        raise CatalogError(f"{name} does not start with the question it answers.")
    return Query(name, question, sql, params, tables, listing.parse(name, sql) if _PLAIN.search(text) else None)


def _with_parts(name: str, text: str) -> str:
    """The SQL without its header, each declared part (a file of ours that several questions share) put where it is named, with its own."""
    sql = _bare(text)
    for match in _PART.finditer(text):
        path, place = FOLDER / "parts" / f"{match[1]}.sql", f"{{{match[1]}}}"
        if place not in sql or not path.is_file():
            raise CatalogError(f"{name} declares the part {match[1]}, which it does not use or which is not there.")
        sql = sql.replace(place, f"(\n{_with_parts(match[1], path.read_text(encoding='utf-8'))}\n)")
    return sql


def _bare(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()


def run(
    cloud: Cloud, name: str, *, tables: Mapping[str, str] | None = None, job_id: str | None = None, **params: Any
) -> Answer:
    """Ask `name`; raises an OnCallError with a sentence (and the SQL's line) when BigQuery does not answer.

    Where the cloud keeps answers, one whose tables have not changed since is given again, for nothing.
    """
    query = load(name)
    sql, values = query.text(tables or {}), query.bind(**params)
    kept = cloud.kept
    if kept is None or job_id is not None or not query.may_be_kept:
        return _ask(cloud, query, sql, values, params, job_id)
    with reading_from(f"BigQuery ({name})", sql):
        versions = tuple(kept.version(table, partial(look, cloud), _look_every_s(table)) for table in query.reads)
    key = (name, *(f"{each}={value!r}" for each, value in sorted(params.items())))
    answer, again = kept.answer(
        key,
        versions,
        lambda: _ask(cloud, query, sql, values, params, None, versions[0].table),
        lambda told: len(told.rows),
    )
    return replace(answer, source=_seen_again(cloud, answer.source, versions)) if again else answer


def would_read(cloud: Cloud, name: str, **params: Any) -> int:
    """The bytes that `name` would read. BigQuery plans it with our rights and does not run it, which is free."""
    query = load(name)
    config = bigquery.QueryJobConfig(query_parameters=query.bind(**params), dry_run=True)
    with reading_from(f"BigQuery ({name}, planned only)", query.sql):
        return int(_job(cloud, query.sql, config).total_bytes_processed or 0)


def _ask(
    cloud: Cloud,
    query: Query,
    sql: str,
    values: list[bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter],
    params: Mapping[str, Any],
    job_id: str | None,
    table: bigquery.Table | None = None,
) -> Answer:
    if query.plain is not None:
        with reading_from(f"BigQuery ({query.name})"):
            listed = listing.rows(cloud, query.plain, table or look(cloud, query.plain.table), params)
        if listed is not None:
            return Answer(listed, Source(f"BigQuery, {query.name}", cloud.now(), detail="tabledata.list"))
    return _query(cloud, query.name, sql, values, job_id)


def _query(cloud: Cloud, name: str, sql: str, values: list[Any], job_id: str | None) -> Answer:
    config = bigquery.QueryJobConfig(query_parameters=values, maximum_bytes_billed=cloud.settings.query_limit_mib * MIB)
    limit_s = cloud.settings.query_timeout_s
    with reading_from(f"BigQuery ({name})", sql):
        job = _job(cloud, sql, config, job_id)
        told = job.result(retry=DEFAULT_RETRY.with_timeout(limit_s), job_retry=None, timeout=limit_s)
        rows = tuple(dict(row) for row in told)
    source = Source(f"BigQuery, {name}", cloud.now(), job.total_bytes_billed or 0, job.job_id)
    if cloud.kept is not None:
        cloud.kept.bill.query(source.bytes_billed)
    return Answer(rows, source)


def _job(cloud: Cloud, sql: str, config: bigquery.QueryJobConfig, job_id: str | None = None) -> bigquery.QueryJob:
    limit_s = cloud.settings.query_timeout_s
    retry = DEFAULT_RETRY.with_timeout(limit_s)
    return cloud.bigquery.query(sql, config, job_id=job_id, retry=retry, job_retry=None, timeout=limit_s)


def _look_every_s(table: str) -> float:
    return LOOK_AT_OURS_S if table.startswith(f"{OURS}.") else LOOK_EVERY_S


def _seen_again(cloud: Cloud, source: Source, versions: tuple[Version, ...]) -> Source:
    """The source of a kept answer: as old as the last look at its tables, and free this time."""
    looked = cloud.now() - timedelta(seconds=max(version.age_s for version in versions))
    return replace(source, read_at=max(source.read_at, looked), bytes_billed=0)


def parsed(value: Any) -> Any:
    """A JSON column's value, whether the client has read it already or the query gave its text."""
    return json.loads(value) if isinstance(value, str) else value


def _parameter(name: str, kind: str, value: Any) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if kind.startswith("ARRAY<"):
        return bigquery.ArrayQueryParameter(name, kind.removeprefix("ARRAY<").removesuffix(">"), list(value))
    return bigquery.ScalarQueryParameter(name, kind, value)


Row = Mapping[str, Any]
