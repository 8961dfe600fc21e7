"""Table metadata that the emulator lacks or gets wrong: sizes, row counts, timestamps, partitions, `__TABLES__`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import httpx

from services.core.clock import Clock
from services.sandbox.bigquery.job_store import to_epoch_ms
from services.sandbox.bigquery.schema_changes import Field, add_column_statements, mode
from services.sandbox.bigquery.streaming_buffer import StreamingBuffer, StreamingDelays

Resource = dict[str, Any]
_TABLES_VIEW_PATTERN = re.compile(r"`?(?:[a-z][\w-]*`?\.`?)?(\w+)`?\.`?__TABLES__`?", re.IGNORECASE)
_VIEW_COLUMNS = (
    "project_id STRING, dataset_id STRING, table_id STRING, creation_time INT64, last_modified_time INT64,"
    " row_count INT64, size_bytes INT64, type INT64"
)


TABLES_VIEW_FIELDS: tuple[Resource, ...] = tuple(
    {"name": name, "type": kind, "mode": "NULLABLE"}
    for name, kind in (column.split() for column in _VIEW_COLUMNS.split(", "))
)


@dataclass(frozen=True)
class TableMetadata:
    """A table's size, whether and by which column it is partitioned, its column types by lower-case name, and its schema's fields."""

    size_bytes: int = 0
    partitioned_by: str = ""  # empty also when it is partitioned by the time of arrival
    types: dict[str, str] = field(default_factory=dict)
    partitioned: bool = False
    fields: tuple[Resource, ...] = ()
    exists: bool = False

    def column_fraction(self, columns: frozenset[str]) -> float:
        """The fraction (0–1) of a row that these columns are, all columns counted as equally wide."""
        if "*" in columns or not self.types:
            return 1.0
        return len(columns & self.types.keys()) / len(self.types)


class TableCatalog:
    """Reads table metadata from the emulator, caches it until the table changes, and corrects it."""

    # The emulator's, for a SELECT and for other statements in DuckDB's dialect, and to record a schema; set by `connect`.
    fetch_rows: Callable[[str], Awaitable[list[Any]]]
    execute: Callable[[str], Awaitable[None]]
    record_schema: Callable[[str, str, str, Sequence[Resource]], Awaitable[None]]

    def __init__(self, http: httpx.AsyncClient, project: str, clock: Clock, delays: StreamingDelays) -> None:
        self.buffer = StreamingBuffer(project, clock, delays)
        self._http, self._project, self._clock = http, project, clock
        self._metadata: dict[str, TableMetadata] = {}
        self._rows_by_day: dict[str, dict[str, int]] = {}
        self._changes: dict[str, tuple[str, int | None]] = {}
        self._locations: dict[str, str] = {}
        self.created_ms: dict[str, str] = {}  # dataset.table of a past night → epoch ms
        self.expires_ms: dict[str, str] = {}  # dataset.table → epoch ms; the emulator keeps no expiry

    def connect(
        self,
        fetch_rows: Callable[[str], Awaitable[list[Any]]],
        execute: Callable[[str], Awaitable[None]],
        record_schema: Callable[[str, str, str, Sequence[Resource]], Awaitable[None]],
    ) -> None:
        """Give the catalog its way past the emulator's API, to DuckDB itself."""
        self.fetch_rows = fetch_rows
        self.execute = self.buffer.execute = execute
        self.record_schema = record_schema

    async def advance(self) -> None:
        """Let streamed rows be seen and stored as far as the time has come."""
        shown, stored = await self.buffer.advance()
        for table in shown:
            self._rows_by_day.pop(table, None)
        for table in stored:
            self.invalidate(table)

    async def is_streaming(self, table: str) -> bool:
        """Whether a table has streamed rows that are not stored yet, so that no statement may change it."""
        await self.advance()
        return self.buffer.has_rows(table)

    async def fetch(self, table: str) -> httpx.Response:
        """The emulator's tables.get of dataset.table."""
        return await self._http.get(self._path(*table.split(".", 1)))

    async def create(self, table: str, resource: Resource) -> httpx.Response:
        """The emulator's tables.insert of dataset.table; then DuckDB itself refuses a missing REQUIRED value."""
        dataset, _, name = table.partition(".")
        reference = {"projectId": self._project, "datasetId": dataset, "tableId": name}
        response = await self._http.post(self._path(dataset), json={**resource, "tableReference": reference})
        required = [f["name"] for f in (resource.get("schema") or {}).get("fields") or () if mode(f) == "REQUIRED"]
        if required and not response.is_error:
            table_sql = self._table_sql(table)
            await self.execute("; ".join(f'ALTER TABLE {table_sql} ALTER "{name}" SET NOT NULL' for name in required))
        return response

    async def change_schema(self, table: str, current: Sequence[Field], merged: Sequence[Field]) -> None:
        """Carry out what merge_schema allowed, in the data and in the metadata."""
        relaxed = {f["name"] for f in merged if mode(f) == "NULLABLE"}
        statements = [
            f'ALTER TABLE {self._table_sql(table)} ALTER "{field["name"]}" DROP NOT NULL'
            for field in current
            if mode(field) == "REQUIRED" and field["name"] in relaxed
        ]
        statements += add_column_statements(self._table_sql(table), current, merged)
        if statements:
            await self.execute("; ".join(statements))
        await self._http.patch(self._path(*table.split(".", 1)), json={"schema": {"fields": list(merged)}})
        self.invalidate(table)

    def _table_sql(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        return f'"{self._project}__{dataset}"."{name}"'

    async def patch(self, table: str, body: Resource) -> httpx.Response:
        """The emulator's tables.patch of dataset.table."""
        return await self._http.patch(self._path(*table.split(".", 1)), json=body)

    async def delete(self, table: str) -> httpx.Response:
        """The emulator's tables.delete of dataset.table."""
        return await self._http.delete(self._path(*table.split(".", 1)))

    def _path(self, dataset: str, table: str = "") -> str:
        return f"/bigquery/v2/projects/{self._project}/datasets/{dataset}/tables" + (f"/{table}" if table else "")

    async def run_query(self, sql: str, max_results: int = 10_000) -> httpx.Response:
        """Run a query of the sandbox itself, past every limit and the billing meter."""
        body = {"query": sql, "useLegacySql": False, "maxResults": max_results}
        return await self._http.post(f"/bigquery/v2/projects/{self._project}/queries", json=body)

    async def get_metadata(self, table: str) -> TableMetadata:
        """Size, partitioning and column types; an unknown table is empty and unpartitioned."""
        if table not in self._metadata:
            self._metadata[table] = await self._fetch_metadata(table)
        return self._metadata[table]

    async def _fetch_metadata(self, table: str) -> TableMetadata:
        dataset, _, name = table.rpartition(".")
        if not dataset or "*" in name or "INFORMATION_SCHEMA" in table:
            return TableMetadata()
        response = await self._http.get(self._path(dataset.split(".")[-1], name.split("@")[0]))
        if response.is_error:
            return TableMetadata()
        resource = response.json()
        types = {f["name"].lower(): f["type"] for f in resource.get("schema", {}).get("fields", [])}
        await self.correct_metadata(table, resource)
        partition_column = resource.get("timePartitioning", {}).get("field", "").lower()
        return TableMetadata(
            int(resource.get("numBytes") or 0),
            partition_column,
            types,
            partitioned="timePartitioning" in resource,
            fields=tuple(resource.get("schema", {}).get("fields", [])),
            exists=True,
        )

    async def rows_by_day(self, table: str) -> dict[str, int]:
        """Row count per day of a partitioned table, cached until it changes."""
        if table not in self._rows_by_day:
            column = (await self.get_metadata(table)).partitioned_by
            response = await self.run_query(
                f"SELECT CAST(DATE({column}) AS STRING), COUNT(*) FROM `{table}` GROUP BY 1"
            )
            rows = [] if response.is_error else response.json().get("rows", [])
            self._rows_by_day[table] = {str(row["f"][0]["v"]): int(row["f"][1]["v"]) for row in rows}
        return self._rows_by_day[table]

    async def locate_datasets(self, datasets: Iterable[str]) -> dict[str, str]:
        """The location of each of these datasets that exists, cached until datasets change."""
        for dataset in datasets:
            if dataset not in self._locations:
                response = await self._http.get(f"/bigquery/v2/projects/{self._project}/datasets/{dataset}")
                if not response.is_error:
                    self._locations[dataset] = response.json()["location"]
        return {dataset: self._locations[dataset] for dataset in datasets if dataset in self._locations}

    def forget_locations(self) -> None:
        """Datasets were created or dropped."""
        self._locations.clear()

    def invalidate(self, table: str) -> None:
        """Drop what is cached of a table that was written or changed, and record the time of the change."""
        self._metadata.pop(table, None)
        self._rows_by_day.pop(table, None)
        self._changes[table] = (to_epoch_ms(self._clock.now()), None)
        self.buffer.note_change(table)
        if "." not in table:  # a script, or DDL of a dataset
            self.forget_locations()

    def drop(self, table: str) -> None:
        self.created_ms.pop(table, None)
        self.expires_ms.pop(table, None)
        self.invalidate(table)

    def set_expiration(self, table: str, body: Resource) -> None:
        """Keep the expiration that a create or patch sets; null removes it."""
        if "expirationTime" in body:
            if body["expirationTime"]:
                self.expires_ms[table] = str(body["expirationTime"])
            else:
                self.expires_ms.pop(table, None)

    async def list_all(self, dataset: str) -> httpx.Response:
        """Every table of a dataset, in one response."""
        return await self._http.get(self._path(dataset), params={"maxResults": 50_000})

    async def list_names(self, dataset: str) -> list[str]:
        response = await self.list_all(dataset)
        resources = [] if response.is_error else response.json().get("tables", [])
        return [table["tableReference"]["tableId"] for table in resources]

    async def expand_wildcards(self, tables: tuple[str, ...]) -> list[str]:
        """The tables a statement names, each wildcard replaced by the tables it matches."""
        names: list[str] = []
        for table in tables:
            dataset, _, name = table.rpartition(".")
            if name.endswith("*"):
                names += [f"{dataset}.{n}" for n in await self.list_names(dataset) if n.startswith(name[:-1])]
            else:
                names.append(table)
        return names

    def apply_recorded_times(self, dataset: str, resource: Resource) -> None:
        """Set the creation time of a seeded table to the past night it belongs to, and any expiration."""
        name = f"{dataset}.{resource.get('tableReference', {}).get('tableId')}"
        if name in self.created_ms:
            resource["creationTime"] = self.created_ms[name]
        if name in self.expires_ms:
            resource["expirationTime"] = self.expires_ms[name]

    async def correct_metadata(self, table: str, resource: Resource) -> None:
        """Correct numRows and lastModifiedTime, which the emulator does not update after DML and copies."""
        self.apply_recorded_times(table.rpartition(".")[0], resource)
        if table not in self._changes or "schema" not in resource:
            _fill_size(resource, int(resource.get("numRows") or 0))
            return
        changed_ms, rows = self._changes[table]
        if rows is None:
            rows = await self._count_rows(resource)
            # Not cached when counting failed or the table was written meanwhile.
            if rows is not None and self._changes.get(table) == (changed_ms, None):
                self._changes[table] = (changed_ms, rows)
        if rows is None:
            rows = int(resource.get("numRows") or 0)
        resource.update({"numRows": str(rows), "lastModifiedTime": changed_ms})
        _fill_size(resource, rows)

    async def _count_rows(self, resource: Resource) -> int | None:
        """Counted directly in DuckDB: under load the emulator's query API sometimes returns a COUNT without a row."""
        reference, columns = resource["tableReference"], [field["name"] for field in resource["schema"]["fields"]]
        table = f"{reference['datasetId']}.{reference['tableId']}"
        try:
            rows = await self.fetch_rows(f"SELECT COUNT(*) FROM ({self.buffer.stored_rows_sql(table, columns)})")
        except duckdb.Error:
            return None
        return int(rows[0]["f"][0]["v"])

    async def inline_tables_view(self, sql: str) -> str:
        """The statement with each dataset's `__TABLES__`, which the emulator lacks, replaced by literal rows."""
        for dataset in dict.fromkeys(match[1] for match in _TABLES_VIEW_PATTERN.finditer(sql)):
            rows = await self._tables_view_sql(dataset)
            sql = _TABLES_VIEW_PATTERN.sub(lambda match, d=dataset, r=rows: r if match[1] == d else match[0], sql)  # type: ignore[misc]
        return sql

    async def _tables_view_sql(self, dataset: str) -> str:
        resources = await asyncio.gather(
            *(self._fetch_corrected(dataset, name) for name in await self.list_names(dataset))
        )
        rows = ", ".join(
            f"({_view_row_sql(self._project, dataset, resource)})" for resource in resources if resource is not None
        )
        array_type = f"ARRAY<STRUCT<{_VIEW_COLUMNS}>>"
        return (
            f"(SELECT * FROM UNNEST({array_type}[{rows}]))"
            if rows
            else f"(SELECT * FROM UNNEST(CAST([] AS {array_type})))"
        )

    async def _fetch_corrected(self, dataset: str, name: str) -> Resource | None:
        response = await self._http.get(self._path(dataset, name))
        if response.is_error:
            return None
        resource: Resource = response.json()
        await self.correct_metadata(f"{dataset}.{name}", resource)
        return resource


def _fill_size(resource: Resource, rows: int) -> None:
    """Estimate numBytes, which the emulator does not report: 40 bytes per field of a row."""
    if not int(resource.get("numBytes") or 0):
        resource["numBytes"] = str(rows * 40 * len(resource.get("schema", {}).get("fields", [])))


def _view_row_sql(project: str, dataset: str, table: Resource) -> str:
    kind = 2 if table.get("type") == "VIEW" else 1
    strings = (project, dataset, table["tableReference"]["tableId"])
    numbers = (table.get(key) or 0 for key in ("creationTime", "lastModifiedTime", "numRows", "numBytes"))
    return ", ".join([*(json.dumps(text) for text in strings), *(str(int(n)) for n in numbers), str(kind)])
