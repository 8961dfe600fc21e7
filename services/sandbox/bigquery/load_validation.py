"""What a load job brings: its rows (newline-delimited JSON) and the schema that they and the table must agree on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.sandbox.bigquery.row_validation import InvalidRow, JsonValue, normalize_row
from services.sandbox.bigquery.schema_changes import Field, SchemaMismatch, merge_schema

Resource = dict[str, Any]
Error = dict[str, str]


class LoadRefused(ValueError):
    """The load fails with `errors`, of which the first is the job's errorResult, and changes nothing."""

    def __init__(self, *errors: Error) -> None:
        super().__init__(errors[0]["message"])
        self.errors = errors


@dataclass(frozen=True)
class LoadedRows:
    """The rows in DuckDB's spelling as newline-delimited JSON, how many they are, and how many were left out as bad."""

    media: bytes
    rows: int
    bad_rows: int


def plan_schema(load: Resource, table: str, existing: Sequence[Field] | None) -> list[Field]:
    """The fields that the table will have; raises LoadRefused. `existing`: those of a table that is there and stays."""
    wanted = (load.get("schema") or {}).get("fields") or []
    if existing is None and not wanted:
        raise LoadRefused(invalid("No schema specified on job or table."))
    if existing is None or not wanted:
        return list(wanted or existing or ())
    options = load.get("schemaUpdateOptions") or ()
    try:
        return merge_schema(
            existing,
            wanted,
            may_add="ALLOW_FIELD_ADDITION" in options,
            may_relax="ALLOW_FIELD_RELAXATION" in options,
            may_omit=True,
        )
    except SchemaMismatch as error:
        raise LoadRefused(invalid(f"Provided Schema does not match Table {table}. {error}")) from None


def read_rows(media: bytes, fields: Sequence[Field], load: Resource) -> LoadedRows:
    """The rows, all of them fit for the schema but at most maxBadRecords; raises LoadRefused."""
    allowed, ignore_unknown = int(load.get("maxBadRecords") or 0), bool(load.get("ignoreUnknownValues"))
    lines: list[str] = []
    errors: list[Error] = []
    position = rows = 0
    for line in media.split(b"\n"):
        if line.strip():
            rows += 1
            try:
                lines.append(json.dumps(normalize_row(fields, _parse(line), ignore_unknown=ignore_unknown)))
            except InvalidRow as error:
                errors.append(
                    _reading(f"JSON parsing error in row starting at position {position}: {error.load_message}")
                )
        if len(errors) > allowed:
            raise LoadRefused(*_too_many(rows, len(errors), allowed), *errors)
        position += len(line) + 1
    return LoadedRows("\n".join(lines).encode(), len(lines), len(errors))


def _parse(line: bytes) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(line, parse_constant=_refuse_constant)
    except ValueError:
        raise InvalidRow("Parser terminated before end of string") from None
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _too_many(rows: int, errors: int, allowed: int) -> tuple[Error, Error]:
    table = (
        f"JSON table encountered too many errors, giving up. Rows: {rows}; errors: {errors}."
        " Please look into the errors[] collection for more details."
    )
    processing = (
        f"JSON processing encountered too many errors, giving up. Rows: {rows}; errors: {errors}; max bad: {allowed};"
        " error percent: 0"
    )
    return _reading(table), _reading(processing)


def _reading(message: str) -> Error:
    return invalid(f"Error while reading data, error message: {message}")


def invalid(message: str) -> Error:
    """An error of the reason that BigQuery gives to bad input."""
    return {"reason": "invalid", "message": message}


def infer_schema(media: bytes) -> list[Field]:
    """Autodetection: the columns of all rows in order of appearance, all optional; raises LoadRefused."""
    values: dict[str, list[JsonValue]] = {}
    for line in media.split(b"\n"):
        row = _parse(line) if line.strip() else {}
        for name, value in (row if isinstance(row, Mapping) else {}).items():
            values.setdefault(name, []).append(value)
    return [_infer_field(name, found) for name, found in values.items()]


def _infer_field(name: str, values: Sequence[JsonValue]) -> Field:
    mode = "REPEATED" if any(isinstance(value, list) for value in values) else "NULLABLE"
    flat = [item for value in values for item in (value if isinstance(value, list) else [value]) if item is not None]
    records = [item for item in flat if isinstance(item, dict)]
    if records:
        inner: dict[str, list[JsonValue]] = {}
        for record in records:
            for key, value in record.items():
                inner.setdefault(key, []).append(value)
        return {"name": name, "type": "RECORD", "mode": mode, "fields": [_infer_field(*item) for item in inner.items()]}
    kinds = ("BOOLEAN", "INTEGER", "FLOAT", "DATE", "TIMESTAMP")
    kind = next((kind for kind in kinds if flat and all(_fits(kind, item) for item in flat)), "STRING")
    return {"name": name, "type": kind, "mode": mode}


def _fits(kind: str, value: JsonValue) -> bool:
    if kind == "BOOLEAN" and not (isinstance(value, bool) or value in ("true", "false")):
        return False
    if kind == "TIMESTAMP" and not isinstance(value, str):
        return False
    try:
        normalize_row([{"name": "v", "type": kind}], {"v": value})
    except InvalidRow:
        return False
    return True
