"""The tables of the in-memory BigQuery: rows in Python or in the engine, whichever was used last, and their metadata."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import sqlglot
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField
from sqlglot import exp

from tests.support import memory_engine
from tests.support.memory_engine import Row

ROOT = Path(__file__).parents[2]
SCHEMA_FOLDERS = ("services/sandbox/scenarios/schema", "queries/schema")  # the customer's tables, and ours
_LEGACY_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC"}
_versions = itertools.count(1)


class InvalidRow(ValueError):
    """A row that does not fit the table it is loaded into."""


@dataclass(eq=False)
class MemoryTable:
    """One table. `rows` are its stored rows; `buffered` ones are in its streaming buffer: queries see them, listings do not."""

    name: str  # dataset.table
    fields: tuple[SchemaField, ...]
    created: datetime
    engine_schema: str
    partition_field: str | None = None
    expires: datetime | None = None
    labels: dict[str, str] = field(default_factory=dict)
    buffered: list[Row] = field(default_factory=list)
    modified: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    etag: str = ""
    _rows: list[Row] | None = field(default_factory=list)
    _resource: bigquery.Table | None = None
    _engine_name: str | None = None

    @property
    def rows(self) -> list[Row]:
        """Its stored rows; whoever changes them calls set_rows."""
        if self._rows is None:
            assert self._engine_name is not None
            self._rows = memory_engine.read_table(self._engine_name)
        return self._rows

    def set_rows(self, rows: Sequence[Row], now: datetime) -> None:
        self._rows = list(rows)
        self._forget_engine_table()
        self.touch(now)

    def stream(self, rows: Sequence[Row], now: datetime) -> None:
        """Add rows as insertAll does."""
        self.buffered += rows
        self._forget_engine_table()
        self.touch(now)

    def touch(self, now: datetime) -> None:
        """Its metadata or rows changed: a later time and another etag."""
        self.modified = max(now, self.modified + timedelta(milliseconds=1))
        self.etag = f"etag-{next(_versions)}"

    def engine_table(self) -> str:
        """Its name in the engine, where its rows, buffered ones too, are from now on."""
        if self._engine_name is None:
            self._engine_name = memory_engine.create_table(
                self.engine_schema, self.fields, [*self.rows, *self.buffered]
            )
        return self._engine_name

    def changed_in_engine(self, now: datetime) -> None:
        """A statement has changed its rows in the engine."""
        self._rows = None
        self.touch(now)

    def replace_engine_table(self, name: str) -> None:
        """Exchange its rows in the engine for those of another engine table."""
        self._forget_engine_table()
        self._rows, self._engine_name = None, name

    def _forget_engine_table(self) -> None:
        if self._engine_name is not None:
            memory_engine.drop_table(self._engine_name)
            self._engine_name = None

    def to_resource(self, project: str) -> bigquery.Table:
        """The table as tables.get gives it."""
        if self._resource is None or self._resource.etag != self.etag:
            self._resource = self._build_resource(project)
        return self._resource

    def _build_resource(self, project: str) -> bigquery.Table:
        dataset, table = self.name.split(".")
        resource: dict[str, Any] = {
            "kind": "bigquery#table",
            "etag": self.etag,
            "id": f"{project}:{self.name}",
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": table},
            "schema": {"fields": [f.to_api_repr() for f in self.fields]},
            "type": "TABLE",
            "creationTime": _to_ms(self.created),
            "lastModifiedTime": _to_ms(self.modified),
            "numRows": str(len(self.rows)),
            "numBytes": str(100 * len(self.rows)),
            "labels": self.labels,
        }
        if self.expires is not None:
            resource["expirationTime"] = _to_ms(self.expires)
        if self.partition_field is not None:
            resource["timePartitioning"] = {"type": "DAY", "field": self.partition_field}
        if self.buffered:
            resource["streamingBuffer"] = {
                "estimatedRows": str(len(self.buffered)),
                "estimatedBytes": str(100 * len(self.buffered)),
                "oldestEntryTime": _to_ms(self.modified),
            }
        return bigquery.Table.from_api_repr(resource)


@cache
def read_schemas() -> Mapping[str, tuple[tuple[SchemaField, ...], str | None]]:
    """Of each table of ours and of the customer's, by its CREATE TABLE: the columns, and the one by whose days it is partitioned."""
    schemas = {}
    for path in (path for folder in SCHEMA_FOLDERS for path in sorted((ROOT / folder).glob("*.sql"))):
        tree = sqlglot.parse_one(path.read_text(encoding="utf-8"), read="bigquery")
        table, partition = tree.find(exp.Table), tree.find(exp.PartitionedByProperty)
        assert table is not None
        column = partition.find(exp.Column) or partition.find(exp.Identifier) if partition else None
        fields = tuple(map(_to_field, tree.find_all(exp.ColumnDef)))
        schemas[f"{table.db}.{table.name}"] = fields, column.name if column is not None else None
    return schemas


def _to_field(column: exp.ColumnDef) -> SchemaField:
    kind = column.args["kind"].sql(dialect="bigquery").upper()
    mode = "REQUIRED" if column.find(exp.NotNullColumnConstraint) else "NULLABLE"
    return SchemaField(column.name, _LEGACY_TYPES.get(kind, kind), mode)


def parse_json_rows(lines: bytes, fields: Sequence[SchemaField]) -> list[Row]:
    """The rows of newline-delimited JSON; raises InvalidRow for a field that the table lacks or cannot hold."""
    by_name = {f.name: f for f in fields}
    rows = []
    for line in lines.splitlines():
        values: Mapping[str, Any] = json.loads(line)
        if unknown := set(values) - set(by_name):
            raise InvalidRow(f"No such field: {min(unknown)}.")
        rows.append({name: parse_value(f, values.get(name)) for name, f in by_name.items()})
    return rows


def parse_value(f: SchemaField, value: Any) -> Any:
    """One value of JSON as its column holds it."""
    if f.mode == "REPEATED":
        if not isinstance(value or [], list):
            raise InvalidRow(f"Repeated field {f.name} must be imported as a JSON array.")
        return [_parse_single(f, item) for item in value or []]
    if value is None:
        if f.mode == "REQUIRED":
            raise InvalidRow(f"Missing required field: {f.name}.")
        return None
    return _parse_single(f, value)


def _parse_single(f: SchemaField, value: Any) -> Any:
    try:
        match f.field_type:
            case "NUMERIC" | "BIGNUMERIC":
                return memory_engine.plain_value(Decimal(str(value)))
            case "INTEGER" | "INT64":
                return int(value)
            case "FLOAT" | "FLOAT64":
                return float(value)
            case "BOOLEAN" | "BOOL":
                return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
            case "DATE":
                return date.fromisoformat(value)
            case "TIMESTAMP":
                at = datetime.fromisoformat(value)
                return at.replace(tzinfo=at.tzinfo or UTC)
            case "DATETIME":
                return datetime.fromisoformat(value)
            case "JSON":
                return value
            case "RECORD" | "STRUCT":
                return {sub.name: parse_value(sub, value.get(sub.name)) for sub in f.fields}
            case _:
                if not isinstance(value, str):
                    raise InvalidRow(f"Could not convert value to string. Field: {f.name}; Value: {value}")
                return value
    except InvalidRow:
        raise
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidRow(f"Could not convert value to {f.field_type}. Field: {f.name}; Value: {value}") from error


def _to_ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
