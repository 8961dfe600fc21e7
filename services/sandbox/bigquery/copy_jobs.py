"""Copy jobs: any number of sources, all or none, and dropped tables within the time-travel window."""

from __future__ import annotations

from typing import Any

import httpx

from services.sandbox.bigquery.table_metadata import TableCatalog
from services.sandbox.bigquery.time_travel import DroppedTableStore

Resource = dict[str, Any]


class Copier:
    """Runs BigQuery copy jobs on the emulator."""

    def __init__(self, http: httpx.AsyncClient, project: str, tables: TableCatalog) -> None:
        self._http, self._project, self._tables = http, project, tables
        self.dropped_tables: DroppedTableStore | None = None

    async def copy(
        self, sources: list[Resource], target: Resource, config: Resource
    ) -> tuple[dict[str, str] | None, int]:
        """(errorResult or None, row count). One INSERT … SELECT over all sources, so that a failed copy leaves no rows."""
        if len(sources) == 1 and "@" in sources[0]["tableId"]:
            return await self._restore_dropped(sources[0], target, config)
        resources = [await self._get_table(source) for source in sources]
        missing = next((s for s, d in zip(sources, resources, strict=True) if d is None), None)
        if missing is not None:
            return _error_result(
                "notFound", f"Not found: Table {self._project}:{missing['datasetId']}.{missing['tableId']}"
            ), 0
        first = resources[0] or {}
        for source, resource in zip(sources, resources, strict=True):
            if _schema_columns(resource or {}) != _schema_columns(first):
                return _error_result(
                    "invalid",
                    f"Provided Schema does not match Table {_table_name(target)}. Source {_table_name(source)} differs.",
                ), 0
        if await self._are_streaming(sources):
            return await self._copy_stored_rows(sources, target, first, config)
        rows = sum(int((resource or {}).get("numRows") or 0) for resource in resources)
        error = await self._prepare_target(target, first, config)
        return (error, 0) if error else (await self._append_rows(sources, target, first), rows)

    async def _are_streaming(self, sources: list[Resource]) -> bool:
        await self._tables.advance()
        return any(self._tables.buffer.has_rows(_table_name(source)) for source in sources)

    async def _copy_stored_rows(
        self, sources: list[Resource], target: Resource, schema_source: Resource, config: Resource
    ) -> tuple[dict[str, str] | None, int]:
        """A copy leaves out what is still in a source's streaming buffer."""
        columns = [field["name"] for field in schema_source["schema"]["fields"]]
        selects = [f"({self._tables.buffer.stored_rows_sql(_table_name(source), columns)})" for source in sources]
        union = " UNION ALL ".join(selects)
        rows = int((await self._tables.fetch_rows(f"SELECT COUNT(*) FROM ({union})"))[0]["f"][0]["v"])
        if (error := await self._prepare_target(target, schema_source, config)) is not None:
            return error, 0
        await self._tables.execute(
            f'INSERT INTO "{self._project}__{target["datasetId"]}"."{target["tableId"]}" BY NAME {union}'
        )
        return None, rows

    async def _restore_dropped(
        self, source: Resource, target: Resource, config: Resource
    ) -> tuple[dict[str, str] | None, int]:
        dropped = self.dropped_tables.find(source["datasetId"], source["tableId"]) if self.dropped_tables else None
        if self.dropped_tables is None or dropped is None:
            return _error_result("notFound", f"Not found: Table {self._project}:{_table_name(source)}"), 0
        error = await self._prepare_target(target, dropped.resource, config)
        if error is None:
            await self.dropped_tables.restore_rows(source["datasetId"], dropped, target)
        return error, 0 if error else int(dropped.resource.get("numRows") or 0)

    async def _get_table(self, reference: Resource) -> Resource | None:
        response = await self._http.get(self._path(reference))
        return None if response.is_error else response.json()

    async def _prepare_target(
        self, target: Resource, schema_source: Resource, config: Resource
    ) -> dict[str, str] | None:
        existing = await self._get_table(target)
        write_disposition = config.get("writeDisposition", "WRITE_EMPTY")
        if existing is not None and write_disposition == "WRITE_EMPTY" and int(existing.get("numRows") or 0):
            return _error_result("duplicate", f"Already Exists: Table {self._project}:{_table_name(target)}")
        if existing is not None and write_disposition == "WRITE_TRUNCATE":
            await self._tables.buffer.forget([_table_name(target)])
            await self._http.delete(self._path(target))
            existing = None
        if existing is not None:
            if _schema_columns(existing) != _schema_columns(schema_source):
                return _error_result("invalid", f"Provided Schema does not match Table {_table_name(target)}.")
            return None
        resource: Resource = {
            "tableReference": {"projectId": self._project, **target},
            "schema": schema_source["schema"],
        }
        expiration_ms = (config.get("destinationExpirationTime") or "").strip()
        if expiration_ms:
            resource["expirationTime"] = expiration_ms
        response = await self._http.post(
            f"/bigquery/v2/projects/{self._project}/datasets/{target['datasetId']}/tables", json=resource
        )
        return _error_result("invalid", response.text[:300]) if response.is_error else None

    async def _append_rows(
        self, sources: list[Resource], target: Resource, schema_source: Resource
    ) -> dict[str, str] | None:
        columns = ", ".join(f"`{f['name']}`" for f in schema_source["schema"]["fields"])
        union = " UNION ALL ".join(f"SELECT {columns} FROM `{_table_name(source)}`" for source in sources)
        sql = f"INSERT INTO `{_table_name(target)}` ({columns}) {union}"
        response = await self._http.post(
            f"/bigquery/v2/projects/{self._project}/jobs",
            json={"configuration": {"query": {"query": sql, "useLegacySql": False}}},
        )
        return (
            response.json().get("status", {}).get("errorResult")
            if not response.is_error
            else _error_result("invalid", response.text[:300])
        )

    def _path(self, reference: Resource) -> str:
        return f"/bigquery/v2/projects/{self._project}/datasets/{reference['datasetId']}/tables/{reference['tableId']}"


def _schema_columns(table: Resource) -> list[tuple[str, str]]:
    return [(f["name"], f["type"]) for f in table.get("schema", {}).get("fields", [])]


def _table_name(reference: Resource) -> str:
    return f"{reference['datasetId']}.{reference['tableId']}"


def _error_result(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}
