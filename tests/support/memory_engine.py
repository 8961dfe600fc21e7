"""The engine of the in-memory BigQuery: DuckDB, which the sandbox's emulator uses too, given statements that sqlglot has translated."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlglot
from google.cloud.bigquery import SchemaField
from sqlglot import exp

from services.sandbox.bigquery.ambiguous_matches import find_ambiguous_match

Row = dict[str, Any]
if TYPE_CHECKING:
    import duckdb
_QUOTED_TABLE = re.compile(r"`(?:[\w-]+\.)?(\w+\.\w+\*?)`")
_SLOT = re.compile(r"__table_(\d+)__")
_NAMED_PARAMETER = re.compile(r"\$(\w+)")
_ARROW_TYPES: Mapping[str, pa.DataType] = {
    "STRING": pa.string(),
    "GEOGRAPHY": pa.string(),
    "JSON": pa.string(),
    "DATE": pa.date32(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal128(38, 18),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "DATETIME": pa.timestamp("us"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), pa.bool_()),
    **dict.fromkeys(("INTEGER", "INT64"), pa.int64()),
    **dict.fromkeys(("FLOAT", "FLOAT64"), pa.float64()),
}
_names = itertools.count()


class AmbiguousMatch(Exception):
    """A target row of a MERGE has several source rows."""


@dataclass(frozen=True)
class Statement:
    """A statement for DuckDB, with `__table_0__` … for its tables; `kind` is its first word, `target` the slot that DML changes."""

    sql: str
    kind: str
    slots: tuple[
        str | None, ...
    ]  # the table of each slot where the text names it; None: the n-th quoted one of the text
    target: int | None
    ambiguity_check: str | None


@dataclass(frozen=True)
class Result:
    """Rows by column name, and of DML how many were inserted, updated and deleted."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    changes: Mapping[str, int]


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """The one engine of the process; each project has a schema of its own in it.

    It is loaded when it is needed, for it takes 30 MB of a process whose memory may be measured.
    """
    import duckdb

    engine = duckdb.connect(":memory:", config={"threads": 1})
    engine.execute("SET TimeZone = 'UTC'")
    engine.execute("SET enable_progress_bar = false")
    return engine


def engine_errors() -> type[Exception]:
    """What the engine raises for a statement that it refuses."""
    import duckdb

    return duckdb.Error


def create_schema() -> str:
    """A new schema of the engine, by its name."""
    name = f"project_{next(_names)}"
    connection().execute(f"CREATE SCHEMA {name}")
    return name


def drop_schema(name: str) -> None:
    connection().execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@cache
def _empty_table(fields: tuple[SchemaField, ...]) -> str:
    """A table without rows, of which new ones are copies."""
    return _create_from_arrow("main", fields, ())


def create_table(schema_name: str, fields: tuple[SchemaField, ...], rows: Sequence[Row]) -> str:
    """A table of the engine with these rows; its name."""
    return _create_from_arrow(schema_name, fields, rows) if rows else copy_table(schema_name, _empty_table(fields))


def _create_from_arrow(schema_name: str, fields: Sequence[SchemaField], rows: Sequence[Row]) -> str:
    name = f"{schema_name}.table_{next(_names)}"
    json_columns = [field.name for field in fields if field.field_type == "JSON" and field.mode != "REPEATED"]
    if json_columns:
        rows = [{**row, **{c: _to_json_text(row.get(c)) for c in json_columns}} for row in rows]
    arrow = pa.Table.from_pylist(list(rows), schema=pa.schema([(f.name, _arrow_type(f)) for f in fields]))
    casts = ", ".join(f'"{f.name}"::JSON AS "{f.name}"' if f.name in json_columns else f'"{f.name}"' for f in fields)
    engine = connection()
    engine.register("loaded_rows", arrow)
    engine.execute(f"CREATE TABLE {name} AS SELECT {casts} FROM loaded_rows")
    engine.unregister("loaded_rows")
    return name


def drop_table(name: str) -> None:
    connection().execute(f"DROP TABLE IF EXISTS {name}")


def read_table(name: str) -> list[Row]:
    """Every row of a table of the engine."""
    columns, rows = _fetch(connection().execute(f"SELECT * FROM {name}"))
    return [dict(zip(columns, row, strict=True)) for row in rows]


def copy_table(schema_name: str, name: str) -> str:
    """A copy of a table of the engine, as a snapshot; its name."""
    copy_name = f"{schema_name}.table_{next(_names)}"
    connection().execute(f"CREATE TABLE {copy_name} AS FROM {name}")
    return copy_name


def translate(sql: str) -> tuple[Statement, tuple[str, ...]]:
    """A GoogleSQL statement for DuckDB, and the tables (dataset.table) of its slots."""
    quoted: list[str] = []

    def to_slot(match: re.Match[str]) -> str:
        quoted.append(match[1])
        return f"`__table_{len(quoted) - 1}__`"

    statement = _translate(_QUOTED_TABLE.sub(to_slot, sql))
    return statement, tuple(name or quoted[n] for n, name in enumerate(statement.slots))


@cache
def _translate(sql: str) -> Statement:
    tree = sqlglot.parse_one(sql, read="bigquery")
    slots: list[str | None] = [None] * len(_SLOT.findall(sql))
    for table in list(tree.find_all(exp.Table)):
        if table.db:
            slots.append(f"{table.db}.{table.name}")
            table.set("this", exp.to_identifier(f"__table_{len(slots) - 1}__"))
            table.set("db", None)
            table.set("catalog", None)
    for count in list(tree.find_all(exp.CountIf)):
        count.replace(
            exp.Count(this=exp.If(this=count.this, true=exp.Literal.number(1)))
        )  # DuckDB's is NULL without rows
    for as_text in list(tree.find_all(exp.JSONFormat)):
        as_text.replace(exp.Coalesce(this=as_text.copy(), expressions=[exp.Literal.string("null")]))  # DuckDB's is NULL
    for cast in tree.find_all(exp.DataType):
        if cast.is_type("DECIMAL") and not cast.expressions:
            cast.replace(exp.DataType.build("DECIMAL(38, 9)"))
    text = (
        tree.sql(dialect="duckdb")
        .replace(" JSON_VALUE(", " JSON_EXTRACT_STRING(")
        .replace("FARM_FINGERPRINT(", "HASH(")
    )
    text = re.sub(r"\b(CAST\()?JSON_VALUE\(", lambda m: (m[1] or "") + "JSON_EXTRACT_STRING(", text).replace(
        " ->> '$'", ""
    )
    text = text.replace('"__table_', "__table_").replace('__"', "__")
    kind = text.split(None, 1)[0].upper()
    dml_target = tree.this if kind in ("MERGE", "INSERT", "UPDATE", "DELETE") else None
    target = _SLOT.search(dml_target.sql()) if dml_target is not None else None
    check = find_ambiguous_match(text, ()) if kind == "MERGE" else None
    if kind == "MERGE":
        text += " RETURNING merge_action"
    return Statement(text, kind, tuple(slots), int(target[1]) if target else None, check[0] if check else None)


def execute(statement: Statement, params: Mapping[str, Any], name_of_slot: Callable[[int], str]) -> Result:
    """Run a statement; raises AmbiguousMatch, or one of `engine_errors` for what the engine refuses."""

    def run(text: str) -> duckdb.DuckDBPyConnection:
        used = {name: params[name] for name in _NAMED_PARAMETER.findall(text) if name in params}
        return connection().execute(_SLOT.sub(lambda slot: name_of_slot(int(slot[1])), text), used)

    if statement.ambiguity_check and run(statement.ambiguity_check).fetchone() is not None:
        raise AmbiguousMatch
    columns, rows = _fetch(run(statement.sql))
    if statement.kind == "MERGE":
        actions = [row[0] for row in rows]
        return Result((), [], {kind: actions.count(kind) for kind in ("INSERT", "UPDATE", "DELETE")})
    if statement.kind in ("INSERT", "UPDATE", "DELETE"):
        return Result((), [], {statement.kind: rows[0][0]})
    return Result(columns, rows, {})


def _fetch(cursor: duckdb.DuckDBPyConnection) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    description = cursor.description or []
    json_columns = {n for n, column in enumerate(description) if str(column[1]) == "JSON"}
    rows = [
        tuple(json.loads(v) if n in json_columns and v is not None else plain_value(v) for n, v in enumerate(row))
        for row in cursor.fetchall()
    ]
    return tuple(column[0] for column in description), rows


def plain_value(value: Any) -> Any:
    """A value as Google's client gives it: decimals without the column's trailing zeros, instants in UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, Decimal):
        return Decimal(format(value.normalize(), "f"))
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if isinstance(value, dict):
        return {key: plain_value(item) for key, item in value.items()}
    return value


def _arrow_type(field: SchemaField) -> pa.DataType:
    if field.field_type in ("RECORD", "STRUCT"):
        kind: pa.DataType = pa.struct([(f.name, _arrow_type(f)) for f in field.fields])
    else:
        kind = _ARROW_TYPES[field.field_type]
    return pa.list_(kind) if field.mode == "REPEATED" else kind


def _to_json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
