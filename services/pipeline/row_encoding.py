"""Rows on their way into staging: checked against the table they are for, and turned into what a load job takes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from services.batches.business_key import Row
from services.core.errors import OnCallError


class SchemaMismatch(OnCallError):
    """The rows do not fit the predictions table."""


@dataclass(frozen=True)
class Column:
    """One column of a table, in BigQuery's legacy type names."""

    name: str
    kind: str
    required: bool


def check(rows: Sequence[Row], columns: Sequence[Column]) -> None:
    """Raises SchemaMismatch naming every field the table lacks and every required one the rows lack."""
    known = {column.name for column in columns}
    unknown = sorted({name for row in rows for name in row} - known)
    if unknown:
        raise SchemaMismatch(
            f"The predictions have {len(unknown)} fields that the table lacks: {', '.join(unknown)}.",
            "Add the columns to the table, or deploy a worker that does not write them.",
        )
    for column in (c for c in columns if c.required):
        if any(row.get(column.name) is None for row in rows):
            raise SchemaMismatch(f"The required field {column.name} is empty in a prediction.", "Mend the predictor.")


def encode(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """JSON-ready rows: decimals and dates as text, NaN and infinities refused with their field, numpy values as plain ones."""
    return [{name: value(name, told) for name, told in row.items() if told is not None} for row in rows]


def value(name: str, told: Any) -> Any:
    """One JSON-ready value; raises SchemaMismatch for what BigQuery would refuse."""
    if hasattr(told, "item") and not isinstance(told, Decimal):  # numpy scalars
        told = told.item()
    if isinstance(told, Decimal | float) and not math.isfinite(told):
        raise SchemaMismatch(f"{name} is {told}: no table can hold it.", "Mend the predictor; the row was not written.")
    if isinstance(told, Decimal):
        return format(told, "f")
    if isinstance(told, datetime):
        return told.isoformat()
    if isinstance(told, date):
        return told.isoformat()
    if isinstance(told, dict | list):
        return json.dumps(told)
    return told
