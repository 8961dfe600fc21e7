"""A query's destinationTable, which the emulator ignores: whether it may be written, and the statement that writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.sandbox.bigquery.table_metadata import TableCatalog

Resource = dict[str, Any]


def find_destination(query: Mapping[str, Any]) -> str:
    """dataset.table that the results of a query configuration go to; empty when they go to a temporary table."""
    reference = query.get("destinationTable") or {}
    return f"{reference.get('datasetId')}.{reference['tableId']}" if reference.get("tableId") else ""


async def check_destination(tables: TableCatalog, project: str, query: Mapping[str, Any]) -> Resource | None:
    """The errorResult of a destination that the dispositions do not allow; None when the results can be written."""
    name = find_destination(query)
    dataset = name.partition(".")[0]
    if dataset not in await tables.locate_datasets([dataset]):
        return {"reason": "notFound", "message": f"Not found: Dataset {project}:{dataset}"}
    metadata = await tables.get_metadata(name)
    if not metadata.exists and query.get("createDisposition") == "CREATE_NEVER":
        return {"reason": "notFound", "message": f"Not found: Table {project}:{name}"}
    if metadata.exists and _write_disposition(query) == "WRITE_EMPTY" and metadata.size_bytes:
        return {"reason": "duplicate", "message": f"Already Exists: Table {project}:{name}"}
    return None


async def writing_statement(tables: TableCatalog, query: Mapping[str, Any], sql: str) -> str:
    """The statement that puts the results of `sql` into the destination."""
    name = find_destination(query)
    replaces = not (await tables.get_metadata(name)).exists or _write_disposition(query) == "WRITE_TRUNCATE"
    return f"CREATE OR REPLACE TABLE `{name}` AS {sql}" if replaces else f"INSERT INTO `{name}` {sql}"


def _write_disposition(query: Mapping[str, Any]) -> str:
    return str(query.get("writeDisposition") or "WRITE_EMPTY")
