"""The customer's tables as tables.insert takes them, read from their declarations in schema/.

By the API and not by DDL: the emulator makes STRING of a JSON column in a CREATE TABLE, and forgets which column partitions it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from services.sandbox.scenarios.log_and_job_history import PROJECT

SCHEMA_FOLDER = Path(__file__).with_name("schema")
DECEMBER_FOLDER = SCHEMA_FOLDER.parents[1] / "schema"


def table_resources() -> list[dict[str, Any]]:
    """Every table of theirs that the dashboard reads, in Google's bigquery#table shape; those of December that have no file here too."""
    paths = {path.name: path for folder in (DECEMBER_FOLDER, SCHEMA_FOLDER) for path in sorted(folder.glob("*.sql"))}
    return [_to_resource(path.read_text(encoding="utf-8")) for path in paths.values()]


def _to_resource(ddl: str) -> dict[str, Any]:
    create = sqlglot.parse_one(ddl, dialect="bigquery")
    table = create.find(exp.Table)
    if table is None:
        raise ValueError(f"No table is declared in {ddl[:80]!r}.")
    resource: dict[str, Any] = {
        "tableReference": {"projectId": PROJECT, "datasetId": table.db, "tableId": table.name},
        "schema": {"fields": [_to_field(column) for column in create.find_all(exp.ColumnDef)]},
    }
    if (partition := create.find(exp.PartitionedByProperty)) is not None:
        filtered = "require_partition_filter" in ddl
        resource["timePartitioning"] = {"type": "DAY", "field": next(_column_names(partition))}
        resource |= {"requirePartitionFilter": True} if filtered else {}
    if (cluster := create.find(exp.ClusterProperty)) is not None:
        resource["clustering"] = {"fields": list(_column_names(cluster))}
    return resource


def _to_field(column: exp.ColumnDef) -> dict[str, str]:
    kind = column.args["kind"]
    repeated = kind.this == exp.DataType.Type.ARRAY
    required = column.find(exp.NotNullColumnConstraint) is not None
    sql_type = (kind.expressions[0] if repeated else kind).sql("bigquery")
    mode = "REPEATED" if repeated else "REQUIRED" if required else "NULLABLE"
    return {"name": column.name, "type": sql_type, "mode": mode}


def _column_names(expression: exp.Expression) -> Iterator[str]:
    return (identifier.name for identifier in expression.find_all(exp.Identifier))
