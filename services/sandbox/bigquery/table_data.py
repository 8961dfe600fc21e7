"""tabledata.list and tabledata.insertAll: rows read without a query, and rows streamed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import duckdb
from starlette.responses import JSONResponse, Response

from services.sandbox.bigquery.row_validation import InvalidRow, normalize_row
from services.sandbox.bigquery.schema_changes import wire_type
from services.sandbox.bigquery.table_metadata import TableCatalog
from services.sandbox.common.error_responses import error_response

Resource = dict[str, Any]
_DAY = re.compile(r"\d{8}")
MAX_STREAMED_ROWS = 50_000


class TableData:
    """The tabledata methods over one project's tables."""

    def __init__(self, tables: TableCatalog, project: str) -> None:
        self._tables, self._project = tables, project

    async def list(self, params: Mapping[str, str], dataset: str, decorated: str) -> Response:
        """One page of a table, or of one of its days (table$20251229): what is stored, not what was streamed just now."""
        await self._tables.advance()
        table, _, partition = decorated.partition("$")
        name = f"{dataset}.{table}"
        response = await self._tables.fetch(name)
        resource = response.json()
        if response.is_error:
            return JSONResponse(resource, response.status_code)
        where = "true"
        if partition:
            where, problem = _partition_filter(resource, partition)
            if problem:
                return error_response(400, "invalid", f"{problem}: {self._project}:{name}${partition}")
        fields = [field["name"] for field in resource.get("schema", {}).get("fields", [])]
        columns = [column for column in params.get("selectedFields", "").split(",") if column] or fields
        start = int(params.get("pageToken") or params.get("startIndex") or 0)
        size = int(params.get("maxResults") or 10_000)
        sql = self._tables.buffer.stored_rows_sql(name, columns, where)
        try:
            if partition:
                total = int((await self._tables.fetch_rows(f"SELECT COUNT(*) FROM ({sql})"))[0]["f"][0]["v"])
            else:
                await self._tables.correct_metadata(name, resource)
                total = int(resource.get("numRows") or 0)
            rows = await self._tables.fetch_rows(f"SELECT * FROM ({sql}) LIMIT {size} OFFSET {start}")
        except duckdb.Error as error:
            return error_response(400, "invalid", str(error).splitlines()[0])
        next_page = {"pageToken": str(start + size)} if start + len(rows) < total else {}
        return JSONResponse({"kind": "bigquery#tableDataList", "totalRows": str(total), "rows": rows, **next_page})

    async def insert_all(self, body: Resource, dataset: str, table: str) -> Response:
        """Stream rows: all of them or, unless skipInvalidRows, none when one is wrong."""
        name = f"{dataset}.{table}"
        response = await self._tables.fetch(name)
        resource = response.json()
        if response.is_error:
            return JSONResponse(resource, response.status_code)
        rows = body.get("rows") or []
        if not rows:
            return error_response(400, "invalid", "No rows present in the request.")
        if len(rows) > MAX_STREAMED_ROWS:
            return error_response(400, "invalid", f"too many rows present in the request, limit: {MAX_STREAMED_ROWS}")
        fields = resource.get("schema", {}).get("fields", [])
        accepted: dict[int, Resource] = {}
        errors: dict[int, Resource] = {}
        for index, row in enumerate(rows):
            try:
                accepted[index] = normalize_row(
                    fields, row.get("json"), ignore_unknown=bool(body.get("ignoreUnknownValues")), streamed=True
                )
            except InvalidRow as error:
                errors[index] = _insert_error("invalid", error.location, error.stream_message)
        if errors and not body.get("skipInvalidRows"):
            errors |= {index: _insert_error("stopped", "", "") for index in accepted}
            accepted = {}
        ids = [str(rows[index].get("insertId") or "") for index in accepted]
        await self._tables.buffer.add(name, fields, list(accepted.values()), ids)
        insert_errors = [{"index": index, "errors": [errors[index]]} for index in sorted(errors)]
        return JSONResponse(
            {
                "kind": "bigquery#tableDataInsertAllResponse",
                **({"insertErrors": insert_errors} if insert_errors else {}),
            }
        )


def _insert_error(reason: str, location: str, message: str) -> Resource:
    return {"reason": reason, "location": location, "debugInfo": "", "message": message}


def _partition_filter(resource: Resource, partition: str) -> tuple[str, str]:
    """(condition on the rows of a day, "") or ("", why this partition cannot be read)."""
    partitioning = resource.get("timePartitioning")
    if partitioning is None:
        return "", "Cannot read partition information from a table that is not partitioned"
    if partitioning.get("type", "DAY") != "DAY" or not partitioning.get("field") or not _DAY.fullmatch(partition):
        return "", "Invalid partition decorator"
    column = next(field for field in resource["schema"]["fields"] if field["name"] == partitioning["field"])
    day = f"DATE '{partition[:4]}-{partition[4:6]}-{partition[6:]}'"
    if wire_type(column) == "DATE":
        return f'"{column["name"]}" = {day}', ""
    return f'CAST("{column["name"]}" AS DATE) = {day}', ""
