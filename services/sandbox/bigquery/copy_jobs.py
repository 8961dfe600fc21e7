"""Copy jobs: any number of sources, all or none, and dropped tables within the time-travel window."""

from __future__ import annotations

from typing import Any

import duckdb
import httpx

from services.sandbox.bigquery.emulator import Columns, Emulator
from services.sandbox.bigquery.table_metadata import TableCatalog
from services.sandbox.bigquery.time_travel import DroppedTableStore

Resource = dict[str, Any]


class Copier:
    """Runs BigQuery copy jobs on the emulator."""

    emulator: Emulator  # set by start_sandbox

    def __init__(self, http: httpx.AsyncClient, project: str, tables: TableCatalog) -> None:
        self._http, self._project, self._tables = http, project, tables
        self.dropped_tables: DroppedTableStore | None = None

    async def copy(
        self, sources: list[Resource], target: Resource, config: Resource
    ) -> tuple[dict[str, str] | None, int]:
        """(errorResult or None, rows copied). One INSERT over all sources, so that a failed copy leaves no rows."""
        if len(sources) == 1 and "@" in sources[0]["tableId"]:
            return await self._restore_dropped(sources[0], target, config)
        keys = [(source["datasetId"], source["tableId"]) for source in sources]
        columns = await self.emulator.list_columns(self._project, keys)
        for source, of_source in zip(sources, columns, strict=True):
            if of_source is None:
                return _error_result("notFound", f"Not found: Table {self._project}:{_table_name(source)}"), 0
        for source, of_source in zip(sources, columns, strict=True):
            if of_source != columns[0]:
                return _error_result(
                    "invalid",
                    f"Provided Schema does not match Table {_table_name(target)}. Source {_table_name(source)} differs.",
                ), 0
        first, existing = await self._get_table(sources[0]), await self._get_table(target)
        if (error := await self._prepare_target(target, first or {}, config)) is not None:
            return error, 0
        try:
            return None, await self._append_rows(sources, target, columns[0] or ())
        except duckdb.Error as defect:
            if existing is None:
                await self._http.delete(self._path(target))
            return _error_result("invalid", str(defect)), 0

    async def _append_rows(self, sources: list[Resource], target: Resource, columns: Columns) -> int:
        """Append what is stored of all sources: what is still in a streaming buffer is left out, as BigQuery does."""
        await self._tables.advance()
        names = [name for name, _ in columns]
        buffered = [source for source in sources if self._tables.buffer.has_rows(_table_name(source))]
        plain = [(source["datasetId"], source["tableId"]) for source in sources if source not in buffered]
        selects = [self._tables.buffer.stored_rows_sql(_table_name(source), names) for source in buffered]
        into = f'"{self._project}__{target["datasetId"]}"."{target["tableId"]}"'
        return await self.emulator.copy_rows(self._project, plain, selects, into, names)

    async def _restore_dropped(
        self, source: Resource, target: Resource, config: Resource
    ) -> tuple[dict[str, str] | None, int]:
        dropped = self.dropped_tables.find(source["datasetId"], source["tableId"]) if self.dropped_tables else None
        if self.dropped_tables is None or dropped is None:
            return _error_result("notFound", f"Not found: Table {self._project}:{_table_name(source)}"), 0
        error = await self._prepare_target(target, dropped.resource, config)
        if error is None:
            await self.dropped_tables.restore_rows(dropped, target)
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

    def _path(self, reference: Resource) -> str:
        return f"/bigquery/v2/projects/{self._project}/datasets/{reference['datasetId']}/tables/{reference['tableId']}"


def _schema_columns(table: Resource) -> list[tuple[str, str]]:
    return [(f["name"], f["type"]) for f in table.get("schema", {}).get("fields", [])]


def _table_name(reference: Resource) -> str:
    return f"{reference['datasetId']}.{reference['tableId']}"


def _error_result(reason: str, message: str) -> dict[str, str]:
    return {"reason": reason, "message": message}
