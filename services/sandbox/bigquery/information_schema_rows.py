"""The columns and rows of the region views: what jobs.get and tables.get return, under the views' names.

https://cloud.google.com/bigquery/docs/information-schema-jobs has the columns; those that nothing here records are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

Resource = dict[str, Any]

_TABLE_ID = pa.struct([("project_id", pa.string()), ("dataset_id", pa.string()), ("table_id", pa.string())])
_TIMESTAMP = pa.timestamp("us", tz="UTC")
JOBS_SCHEMA = pa.schema(
    [
        ("creation_time", _TIMESTAMP),
        ("project_id", pa.string()),
        ("user_email", pa.string()),
        ("job_id", pa.string()),
        ("job_type", pa.string()),
        ("statement_type", pa.string()),
        ("priority", pa.string()),
        ("start_time", _TIMESTAMP),
        ("end_time", _TIMESTAMP),
        ("query", pa.string()),
        ("state", pa.string()),
        ("reservation_id", pa.string()),
        ("total_bytes_processed", pa.int64()),
        ("total_slot_ms", pa.int64()),
        (
            "error_result",
            pa.struct([(name, pa.string()) for name in ("reason", "location", "debug_info", "message")]),
        ),
        ("cache_hit", pa.bool_()),
        ("destination_table", _TABLE_ID),
        ("referenced_tables", pa.list_(_TABLE_ID)),
        ("labels", pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))),
        ("total_bytes_billed", pa.int64()),
        ("transaction_id", pa.string()),
        ("parent_job_id", pa.string()),
        (
            "dml_statistics",
            pa.struct([(f"{name}_row_count", pa.int64()) for name in ("inserted", "deleted", "updated")]),
        ),
        ("total_modified_partitions", pa.int64()),
    ]
)
TABLES_SCHEMA = pa.schema(
    [
        ("table_catalog", pa.string()),
        ("table_schema", pa.string()),
        ("table_name", pa.string()),
        ("table_type", pa.string()),
        ("is_insertable_into", pa.string()),
        ("is_typed", pa.string()),
        ("creation_time", _TIMESTAMP),
    ]
)
STORAGE_SCHEMA = pa.schema(
    [
        ("project_id", pa.string()),
        ("table_catalog", pa.string()),
        ("table_schema", pa.string()),
        ("table_name", pa.string()),
        ("creation_time", _TIMESTAMP),
        ("total_rows", pa.int64()),
        ("total_logical_bytes", pa.int64()),
        ("storage_last_modified_time", _TIMESTAMP),
        ("deleted", pa.bool_()),
        ("table_type", pa.string()),
    ]
)


def job_row(resource: Resource) -> Resource:
    """A row of JOBS: what jobs.get returns, under the view's names."""
    config, stats = resource["configuration"], resource["statistics"]
    kind = next((k for k in ("query", "load", "copy", "extract") if k in config), "")
    query_stats = stats.get("query", {})
    dml = query_stats.get("dmlStats")
    error = resource["status"].get("errorResult")
    return {
        "creation_time": _to_datetime(stats.get("creationTime")),
        "project_id": resource["jobReference"]["projectId"],
        "user_email": resource.get("user_email"),
        "job_id": resource["jobReference"]["jobId"],
        "job_type": kind.upper() or None,
        "statement_type": query_stats.get("statementType"),
        "priority": config.get(kind, {}).get("priority") or "INTERACTIVE",
        "start_time": _to_datetime(stats.get("startTime")),
        "end_time": _to_datetime(stats.get("endTime")),
        "query": config.get("query", {}).get("query"),
        "state": resource["status"]["state"],
        "total_bytes_processed": _to_int(stats.get("totalBytesProcessed")),
        "total_slot_ms": _to_int(stats.get("totalSlotMs")),
        "error_result": error
        and {"reason": error.get("reason"), "location": error.get("location"), "message": error.get("message")},
        "cache_hit": query_stats.get("cacheHit"),
        "destination_table": _table_id(config.get(kind, {}).get("destinationTable")),
        "referenced_tables": [_table_id(table) for table in query_stats.get("referencedTables", ())],
        "labels": [{"key": key, "value": value} for key, value in config.get("labels", {}).items()],
        "total_bytes_billed": _to_int(query_stats.get("totalBytesBilled")),
        "parent_job_id": stats.get("parentJobId"),
        "dml_statistics": dml
        and {f"{name}_row_count": _to_int(dml.get(f"{name}RowCount")) for name in ("inserted", "deleted", "updated")},
    }


def table_row(resource: Resource) -> Resource:
    """A row of TABLES, from an item of tables.list."""
    kind = {"TABLE": "BASE TABLE", "MATERIALIZED_VIEW": "MATERIALIZED VIEW"}.get(resource["type"], resource["type"])
    reference = resource["tableReference"]
    return {
        "table_catalog": reference["projectId"],
        "table_schema": reference["datasetId"],
        "table_name": reference["tableId"],
        "table_type": kind,
        "is_insertable_into": "YES" if kind == "BASE TABLE" else "NO",
        "is_typed": "NO",
        "creation_time": _to_datetime(resource.get("creationTime")),
    }


def storage_row(resource: Resource) -> Resource:
    """A row of TABLE_STORAGE, from what tables.get returns."""
    row = {key: value for key, value in table_row(resource).items() if key in STORAGE_SCHEMA.names}
    return {
        **row,
        "project_id": row["table_catalog"],
        "total_rows": _to_int(resource.get("numRows")),
        "total_logical_bytes": _to_int(resource.get("numBytes")),
        "storage_last_modified_time": _to_datetime(resource.get("lastModifiedTime")),
        "deleted": False,
    }


def _table_id(reference: Mapping[str, str] | None) -> Resource | None:
    if not reference or "tableId" not in reference:
        return None
    return {
        "project_id": reference.get("projectId"),
        "dataset_id": reference.get("datasetId"),
        "table_id": reference["tableId"],
    }


def _to_int(value: object) -> int | None:
    return None if value is None else int(str(value))


def _to_datetime(epoch_ms: object) -> datetime | None:
    return None if epoch_ms is None else datetime.fromtimestamp(float(str(epoch_ms)) / 1000, UTC)
