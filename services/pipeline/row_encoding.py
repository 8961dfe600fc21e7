"""Validates predictions against their table's schema, and encodes them for a load job."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from services.core.errors import OnCallError

PredictionRow = Mapping[str, Any]  # by column name; the columns are those of the predictions table


class SchemaMismatch(OnCallError):
    """The rows do not fit the predictions table."""


@dataclass(frozen=True)
class Column:
    """One column of a table, in BigQuery's legacy type names."""

    name: str
    field_type: str
    required: bool
    repeated: bool = False

    @property
    def sql_type(self) -> str:
        """The type as GoogleSQL names it, an array by its elements."""
        name = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(self.field_type, self.field_type)
        return f"ARRAY<{name}>" if self.repeated else name


def validate_rows(rows: Sequence[PredictionRow], columns: Sequence[Column]) -> None:
    """Raises SchemaMismatch naming every field the table lacks and every required one the rows lack."""
    column_names = {column.name for column in columns}
    unknown = sorted({name for row in rows for name in row} - column_names)
    if unknown:
        raise SchemaMismatch(
            f"The predictions have {len(unknown)} fields that the table lacks: {', '.join(unknown)}.",
            "Add the columns to the table, or deploy a worker that does not write them.",
        )
    for column in (c for c in columns if c.required):
        if any(row.get(column.name) is None for row in rows):
            raise SchemaMismatch(f"The required field {column.name} is empty in a prediction.", "Mend the predictor.")


def to_json_rows(rows: Iterable[PredictionRow]) -> list[dict[str, Any]]:
    """JSON-ready rows: decimals and dates as text, numpy scalars as plain values; NaN and infinities raise SchemaMismatch."""
    return [{name: to_json_value(name, value) for name, value in row.items() if value is not None} for row in rows]


def to_json_value(name: str, value: Any) -> Any:
    """One JSON-ready value; raises SchemaMismatch for what BigQuery would refuse."""
    if hasattr(value, "item") and not isinstance(value, Decimal):  # numpy scalars
        value = value.item()
    if isinstance(value, Decimal | float) and not math.isfinite(value):
        raise SchemaMismatch(
            f"{name} is {value}: no table can hold it.", "Mend the predictor; the row was not written."
        )
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value
