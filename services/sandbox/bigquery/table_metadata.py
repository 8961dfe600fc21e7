"""What the gateway knows of tables beside the emulator: sizes, true row counts and dates, partitions, `__TABLES__`."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import httpx
from starlette.responses import JSONResponse, Response

from services.core.clock import Clock
from services.sandbox.bigquery.job_store import millis
from services.sandbox.common.error_responses import plain

Resource = dict[str, Any]
_TABLES_VIEW = re.compile(r"`?(?:[a-z][\w-]*`?\.`?)?(\w+)`?\.`?__TABLES__`?", re.IGNORECASE)
_VIEW_COLUMNS = (
    "project_id STRING, dataset_id STRING, table_id STRING, creation_time INT64, last_modified_time INT64,"
    " row_count INT64, size_bytes INT64, type INT64"
)


@dataclass(frozen=True)
class About:
    """A table's size, the column it is partitioned by, if any, and its column types by lower-case name."""

    size_bytes: int = 0
    partitioned_by: str = ""
    types: dict[str, str] = field(default_factory=dict)

    @property
    def partitioned(self) -> bool:
        return bool(self.partitioned_by)

    def share_of(self, columns: frozenset[str]) -> float:
        """The share of a row that these columns are, each as wide as any."""
        if "*" in columns or not self.types:
            return 1.0
        return len(columns & self.types.keys()) / len(self.types)


class Tables:
    """Asks the emulator about tables, remembers until they change, and corrects what it tells."""

    rows: Callable[[str], Awaitable[list[Any]]]  # a SELECT in DuckDB's words; the emulator's, set when both stand

    def __init__(self, http: httpx.AsyncClient, project: str, clock: Clock) -> None:
        self._http, self._project, self._clock = http, project, clock
        self._about: dict[str, About] = {}
        self._days: dict[str, dict[str, int]] = {}
        self._changed: dict[str, tuple[str, int | None]] = {}
        self.created: dict[str, str] = {}  # dataset.table of a past night → epoch ms
        self.expires: dict[str, str] = {}  # dataset.table → epoch ms; the emulator keeps no expiry

    def _path(self, dataset: str, table: str = "") -> str:
        return f"/bigquery/v2/projects/{self._project}/datasets/{dataset}/tables" + (f"/{table}" if table else "")

    async def ask(self, sql: str, most: int = 10_000) -> httpx.Response:
        """A query of the sandbox's own, past every limit and meter."""
        told = {"query": sql, "useLegacySql": False, "maxResults": most}
        return await self._http.post(f"/bigquery/v2/projects/{self._project}/queries", json=told)

    async def about(self, table: str) -> About:
        """A missing table is small and plain."""
        if table not in self._about:
            self._about[table] = await self._ask_about(table)
        return self._about[table]

    async def _ask_about(self, table: str) -> About:
        dataset, _, name = table.rpartition(".")
        if not dataset or "*" in name or "INFORMATION_SCHEMA" in table:
            return About()
        told = await self._http.get(self._path(dataset.split(".")[-1], name.split("@")[0]))
        if told.is_error:
            return About()
        resource = told.json()
        types = {f["name"].lower(): f["type"] for f in resource.get("schema", {}).get("fields", [])}
        await self.correct(table, resource)
        by = resource.get("timePartitioning", {}).get("field", "").lower()
        return About(int(resource.get("numBytes") or 0), by, types)

    async def days(self, table: str) -> dict[str, int]:
        """Rows of each day of a partitioned table, remembered until it changes."""
        if table not in self._days:
            column = (await self.about(table)).partitioned_by
            told = await self.ask(f"SELECT CAST(DATE({column}) AS STRING), COUNT(*) FROM `{table}` GROUP BY 1")
            rows = [] if told.is_error else told.json().get("rows", [])
            self._days[table] = {str(row["f"][0]["v"]): int(row["f"][1]["v"]) for row in rows}
        return self._days[table]

    def forget(self, table: str) -> None:
        """A table was written or changed: what was known of it is old."""
        self._about.pop(table, None)
        self._days.pop(table, None)
        self._changed[table] = (millis(self._clock.now()), None)

    def drop(self, table: str) -> None:
        self.created.pop(table, None)
        self.expires.pop(table, None)
        self.forget(table)

    def expire(self, table: str, told: Resource) -> None:
        """Keep the expiry that a create or a patch sets; null takes it away."""
        if "expirationTime" in told:
            if told["expirationTime"]:
                self.expires[table] = str(told["expirationTime"])
            else:
                self.expires.pop(table, None)

    async def listed(self, dataset: str) -> httpx.Response:
        """Every table of a dataset, in one answer."""
        return await self._http.get(self._path(dataset), params={"maxResults": 50_000})

    async def names(self, dataset: str) -> list[str]:
        answer = await self.listed(dataset)
        listed = [] if answer.is_error else answer.json().get("tables", [])
        return [table["tableReference"]["tableId"] for table in listed]

    async def expand(self, tables: tuple[str, ...]) -> list[str]:
        """The tables that a statement names, each wildcard as the tables it matches."""
        found: list[str] = []
        for table in tables:
            dataset, _, name = table.rpartition(".")
            if name.endswith("*"):
                found += [f"{dataset}.{n}" for n in await self.names(dataset) if n.startswith(name[:-1])]
            else:
                found.append(table)
        return found

    def date(self, dataset: str, resource: Resource) -> None:
        """A table of a past night was created that night, not when the sandbox loaded it."""
        name = f"{dataset}.{resource.get('tableReference', {}).get('tableId')}"
        if name in self.created:
            resource["creationTime"] = self.created[name]
        if name in self.expires:
            resource["expirationTime"] = self.expires[name]

    async def correct(self, table: str, resource: Resource) -> None:
        """The emulator's metadata knows neither rows that DML and copies wrote nor when: count and date them here."""
        self.date(table.rpartition(".")[0], resource)
        if table not in self._changed or "schema" not in resource:
            _size(resource, int(resource.get("numRows") or 0))
            return
        at, rows = self._changed[table]
        if rows is None:
            rows = await self._count(resource)
            # Not kept where nobody could count, nor where it was written again meanwhile.
            if rows is not None and self._changed.get(table) == (at, None):
                self._changed[table] = (at, rows)
        if rows is None:
            rows = int(resource.get("numRows") or 0)
        resource.update({"numRows": str(rows), "lastModifiedTime": at})
        _size(resource, rows)

    async def _count(self, resource: Resource) -> int | None:
        """Counted in the emulator's own store: under load its query path now and then answers a count without a row."""
        where = resource["tableReference"]
        try:
            told = await self.rows(f'SELECT COUNT(*) FROM "{self._project}__{where["datasetId"]}"."{where["tableId"]}"')
        except duckdb.Error:
            return None
        return int(told[0]["f"][0]["v"])

    async def data(self, asked: Mapping[str, str], dataset: str, table: str, day: str = "") -> Response:
        """One page of a table, or of one of its date partitions, in tabledata.list's shape."""
        name = f"{dataset}.{table}"
        told = await self._http.get(self._path(dataset, table))
        resource = told.json()
        if told.is_error or (day and "timePartitioning" not in resource):
            return JSONResponse(resource, told.status_code if told.is_error else 400)
        columns = ", ".join(f'"{c}"' for c in asked.get("selectedFields", "").split(",") if c) or "*"
        start, size = (
            int(asked.get("pageToken") or asked.get("startIndex") or 0),
            int(asked.get("maxResults") or 10_000),
        )
        where = ""
        if day:
            day = f"{day[:4]}-{day[4:6]}-{day[6:8]}"
            where = f" WHERE {resource['timePartitioning']['field']} = DATE '{day}'"
            total = (await self.days(name)).get(day, 0)
        else:
            await self.correct(name, resource)
            total = int(resource.get("numRows") or 0)
        try:
            rows = await self.rows(
                f'SELECT {columns} FROM "{self._project}__{dataset}"."{table}"{where} LIMIT {size} OFFSET {start}'
            )
        except duckdb.Error as error:
            return plain(400, "invalid", str(error).splitlines()[0])
        more = {"pageToken": str(start + size)} if start + len(rows) < total else {}
        return JSONResponse({"kind": "bigquery#tableDataList", "totalRows": str(total), "rows": rows, **more})

    async def with_views(self, sql: str) -> str:
        """The statement with each dataset's `__TABLES__`, which the emulator does not have, written out as rows."""
        for dataset in dict.fromkeys(match[1] for match in _TABLES_VIEW.finditer(sql)):
            rows = await self._view(dataset)
            sql = _TABLES_VIEW.sub(lambda match, d=dataset, r=rows: r if match[1] == d else match[0], sql)  # type: ignore[misc]
        return sql

    async def _view(self, dataset: str) -> str:
        described = await asyncio.gather(*(self._describe(dataset, name) for name in await self.names(dataset)))
        rows = ", ".join(f"({_row(self._project, dataset, one)})" for one in described if one is not None)
        typed = f"ARRAY<STRUCT<{_VIEW_COLUMNS}>>"
        return f"(SELECT * FROM UNNEST({typed}[{rows}]))" if rows else f"(SELECT * FROM UNNEST(CAST([] AS {typed})))"

    async def _describe(self, dataset: str, name: str) -> Resource | None:
        answer = await self._http.get(self._path(dataset, name))
        if answer.is_error:
            return None
        resource: Resource = answer.json()
        await self.correct(f"{dataset}.{name}", resource)
        return resource


def _size(resource: Resource, rows: int) -> None:
    """The emulator measures no loaded table: count 40 bytes for each field of a row."""
    if not int(resource.get("numBytes") or 0):
        resource["numBytes"] = str(rows * 40 * len(resource.get("schema", {}).get("fields", [])))


def _row(project: str, dataset: str, table: Resource) -> str:
    kind = 2 if table.get("type") == "VIEW" else 1
    texts = (project, dataset, table["tableReference"]["tableId"])
    numbers = (table.get(key) or 0 for key in ("creationTime", "lastModifiedTime", "numRows", "numBytes"))
    return ", ".join([*(json.dumps(text) for text in texts), *(str(int(n)) for n in numbers), str(kind)])
