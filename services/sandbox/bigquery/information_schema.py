"""The INFORMATION_SCHEMA views of a region, which the emulator lacks: the jobs, tables and storage that the gateway knows.

A view's rows are put into a table of the emulator while a statement runs, restricted to the creation times that it asks for.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from services.sandbox.bigquery.emulator import Emulator
from services.sandbox.bigquery.information_schema_rows import (
    JOBS_SCHEMA,
    STORAGE_SCHEMA,
    TABLES_SCHEMA,
    job_row,
    storage_row,
    table_row,
)
from services.sandbox.bigquery.job_context import JobContext
from services.sandbox.bigquery.job_store import Job
from services.sandbox.bigquery.partition_pruning import Bound, find_table_references, query_parameters

Resource = dict[str, Any]
HIDDEN_SCHEMA = (
    "_bqemulator_snapshots"  # of the emulator's own, so that no listing shows it and no project is put before it
)
LIST_ALL_JOBS = "bigquery.jobs.listAll"
JOB_VIEWS = {"JOBS", "JOBS_BY_PROJECT", "JOBS_BY_USER"}
TABLE_VIEWS = {"TABLES", "TABLE_STORAGE"}
DATASET_VIEWS = {"COLUMNS", "VIEWS", "TABLE_OPTIONS"}  # those that the emulator has of one dataset
_QUOTED_VIEW = re.compile(
    r"`(INFORMATION_SCHEMA\.\w+)`"
)  # as sqlglot quotes a dataset's view; the emulator reads it unquoted


class ViewDenied(Exception):
    """A view that this identity may not read, or that the job's location does not have: BigQuery does not say which."""


class InformationSchema:
    """The region views of one project. `is_permitted` is asked with a user's e-mail address and a permission."""

    def __init__(self, context: JobContext, emulator: Emulator, is_permitted: Callable[[str, str], bool]) -> None:
        self._context, self._emulator, self._is_permitted = context, emulator, is_permitted
        self._numbers = itertools.count()
        self._rows_of_ended_jobs: dict[str, Resource] = {}

    @asynccontextmanager
    async def materialize(self, query: Resource, user: str, location: str) -> AsyncIterator[str]:
        """The SQL of a query's configuration with its region views as tables, which are there until the context ends.

        Raises ViewDenied for a view of another region, one that does not exist, and one that needs a permission.
        """
        sql = query.get("query", "")
        tree = _parse(sql) if "INFORMATION_SCHEMA" in sql and "region-" in sql.lower() else None
        references = [table for table in tree.find_all(exp.Table) if _view(table)] if tree is not None else []
        if tree is None or not references:
            yield sql
            return
        bounds = {r.table: r.bounds for r in find_table_references(tree, lambda table: str(id(table)))}
        parameters, created_tables = query_parameters(query), list[str]()
        try:
            for reference in references:
                self._check(reference, user, location)
                first_ms, last_ms = find_creation_times(bounds[str(id(reference))], parameters)
                source = await self._source(_view(reference), user, location, first_ms, last_ms)
                if isinstance(source, pa.Table):
                    created_tables.append(name := f"information_schema_{next(self._numbers)}")
                    await self._emulator.create_table(HIDDEN_SCHEMA, name, source)
                    source = exp.table_(name, db=HIDDEN_SCHEMA)
                reference.replace(exp.alias_(source, _alias(reference), table=True))
            yield _QUOTED_VIEW.sub(r"\1", tree.sql(dialect="bigquery"))
        finally:
            for name in created_tables:
                await self._emulator.execute(f'DROP TABLE IF EXISTS "{HIDDEN_SCHEMA}"."{name}"')

    def _check(self, reference: exp.Table, user: str, location: str) -> None:
        project, region, view = _path(reference)
        project = project or self._context.project
        exists = view in JOB_VIEWS | TABLE_VIEWS | DATASET_VIEWS and project == self._context.project
        permitted = view not in JOB_VIEWS - {"JOBS_BY_USER"} or self._is_permitted(user, LIST_ALL_JOBS)
        if not (exists and permitted and region.lower() == f"region-{location.lower()}"):
            name = f"{project}:{region}.INFORMATION_SCHEMA.{view}"
            raise ViewDenied(
                f"Access Denied: Table {name}: User does not have permission to query table {name},"
                f" or perhaps it does not exist in location {location}."
            )

    async def _source(
        self, view: str, user: str, location: str, first_ms: float, last_ms: float
    ) -> pa.Table | exp.Expr:
        if view in JOB_VIEWS:
            jobs = (job for job in self._context.jobs.all(location) if first_ms <= job.created_ms <= last_ms)
            own_only = view == "JOBS_BY_USER"
            rows = [self._job_row(job) for job in jobs if not own_only or job.resource.get("user_email") == user]
            return pa.Table.from_pylist(rows, schema=JOBS_SCHEMA)
        if view in DATASET_VIEWS:
            selects = (
                f"SELECT * FROM {name}.INFORMATION_SCHEMA.{view}" for name in await self._list_datasets(location)
            )
            return sqlglot.parse_one(f"({' UNION ALL '.join(selects)})", read="bigquery")
        resources = await self._list_tables(location)
        if view == "TABLES":
            return pa.Table.from_pylist([table_row(resource) for resource in resources], schema=TABLES_SCHEMA)
        details = await asyncio.gather(*(self._fetch_table(resource["tableReference"]) for resource in resources))
        return pa.Table.from_pylist([storage_row(resource) for resource in details if resource], schema=STORAGE_SCHEMA)

    def _job_row(self, job: Job) -> Resource:
        row = self._rows_of_ended_jobs.get(job.job_id) or job_row(job.resource)
        if job.done.is_set():
            self._rows_of_ended_jobs[job.job_id] = row
        return row

    async def _list_datasets(self, location: str) -> list[str]:
        response = await self._context.http.get(f"/bigquery/v2/projects/{self._context.project}/datasets")
        datasets = response.json().get("datasets", ())
        return [
            d["datasetReference"]["datasetId"] for d in datasets if d.get("location", "US").lower() == location.lower()
        ]

    async def _list_tables(self, location: str) -> list[Resource]:
        resources: list[Resource] = []
        for dataset in await self._list_datasets(location):
            for resource in (await self._context.tables.list_all(dataset)).json().get("tables", ()):
                self._context.tables.apply_recorded_times(dataset, resource)
                resources.append(resource)
        return resources

    async def _fetch_table(self, reference: Mapping[str, str]) -> Resource | None:
        """tables.get of a table, its size corrected; None when it was dropped meanwhile."""
        path = "/bigquery/v2/projects/{projectId}/datasets/{datasetId}/tables/{tableId}".format(**reference)
        response = await self._context.http.get(path)
        if response.is_error:
            return None
        resource: Resource = response.json()
        await self._context.tables.correct_metadata("{datasetId}.{tableId}".format(**reference), resource)
        return resource


def _parse(sql: str) -> exp.Expr | None:
    """The statement's tree; None where it does not parse, which is left to the emulator."""
    try:
        return sqlglot.parse_one(sql, read="bigquery")
    except (SqlglotError, RecursionError):
        return None


def _path(table: exp.Table) -> tuple[str, str, str]:
    """Project ("" where none is named), region and view of a reference, however it is quoted; all "" for any other table."""
    *project, region, schema, view = ["", "", "", *".".join(part.name for part in table.parts).split(".")]
    if schema != "INFORMATION_SCHEMA" or not region.lower().startswith("region-"):
        return "", "", ""
    return "".join(project), region, view


def _view(table: exp.Table) -> str:
    return _path(table)[2]


def _alias(table: exp.Table) -> str:
    """The reference's alias; without one, a column may be qualified by the view's name."""
    return table.alias if table.alias and "." not in table.alias else _view(table)


def find_creation_times(bounds: tuple[Bound, ...], parameters: Mapping[str, str]) -> tuple[float, float]:
    """The first and the last creation time, in epoch ms, that the WHERE of a statement lets through; infinite without a bound."""
    first_ms, last_ms = float("-inf"), float("inf")
    for bound in bounds:
        at_ms = _to_epoch_ms(parameters.get(bound.parameter, "") if bound.parameter else bound.value)
        if bound.column != "creation_time" or at_ms is None:
            continue
        if bound.operator in ("==", ">", ">="):
            first_ms = max(first_ms, at_ms)
        if bound.operator in ("==", "<", "<="):
            last_ms = min(last_ms, at_ms)
    return first_ms, last_ms


def _to_epoch_ms(text: str) -> float | None:
    """A timestamp as SQL and the clients write it; None for anything else."""
    try:
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
