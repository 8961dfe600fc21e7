"""Checks rows against their table's schema and encodes each value for a load job, as newline-delimited JSON has it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from functools import partial
from typing import Any, cast

from services.core.errors import OnCallError
from services.core.text import pluralize

PredictionRow = Mapping[str, Any]  # by column name; the columns are those of the predictions table
_LEGACY_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_SQL_NAMES = {legacy: name for name, legacy in _LEGACY_NAMES.items()}
_INT64 = 2**63
_ONE = Decimal(1)


class SchemaMismatch(OnCallError):
    """The rows do not fit the predictions table."""


@dataclass(frozen=True)
class Column:
    """One column of a table, or one field of a RECORD, in BigQuery's legacy type names."""

    name: str
    field_type: str
    required: bool
    repeated: bool = False
    fields: tuple[Column, ...] = ()  # of a RECORD
    scale: int | None = None  # of a NUMERIC(p, s): digits after the point

    @classmethod
    def from_field(cls, field: Any) -> Column:
        """The column of a SchemaField of Google's client."""
        fields = tuple(map(cls.from_field, field.fields))
        field_type = _LEGACY_NAMES.get(field.field_type, field.field_type)
        scale = field.scale or 0 if field.precision else None
        return cls(field.name, field_type, field.mode == "REQUIRED", field.mode == "REPEATED", fields, scale)

    @property
    def sql_type(self) -> str:
        """The type as GoogleSQL names it: STRUCT<a INT64, b ARRAY<STRING>> for a RECORD."""
        name = _SQL_NAMES.get(self.field_type, self.field_type)
        if self.fields:
            name = f"STRUCT<{', '.join(f'`{field.name}` {field.sql_type}' for field in self.fields)}>"
        return f"ARRAY<{name}>" if self.repeated else name


def encode_rows(rows: Sequence[PredictionRow], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The rows as JSON values, without the fields that are NULL.

    Raises SchemaMismatch naming every field that the table lacks, or the first value that does not fit, with row and player.
    """
    unknown = sorted({name for row in rows for name in row} - {column.name for column in columns})
    if unknown:
        raise SchemaMismatch(
            f"The predictions have {pluralize(len(unknown), 'field')} that the table lacks: {', '.join(unknown)}.",
            "Add the columns to the table, or deploy a worker that does not write them.",
        )
    return [_encode_row(i, row, columns) for i, row in enumerate(rows, 1)]


def _encode_row(number: int, row: PredictionRow, columns: Sequence[Column]) -> dict[str, Any]:
    try:
        return _encode_fields(row, columns, "")
    except _DoesNotFit as error:
        raise SchemaMismatch(
            f"Row {number} ({row.get('player_lookup', 'no player')}): {error}.",
            "Fix the predictor; nothing was written.",
        ) from None


class _DoesNotFit(Exception):
    """A value does not fit its column; the text names its path and says why."""


def _encode_fields(values: Mapping[Any, Any], columns: Sequence[Column], path: str) -> dict[str, Any]:
    encoded = {}
    for column in columns:
        value = _encode(values.get(column.name), column, f"{path}{column.name}")
        if value is not None:
            encoded[column.name] = value
        elif column.required:
            raise _DoesNotFit(f"the required field {path}{column.name} is empty")
    return encoded


def _encode(value: object, column: Column, path: str) -> object:
    value = _to_plain(value)
    if value is None or not column.repeated:
        return _encode_one(value, column, path)
    if not isinstance(value, list | tuple):
        raise _DoesNotFit(f"{path} is {value!r:.80}, not a list")
    elements = [_encode_one(_to_plain(element), column, f"{path}[{i}]") for i, element in enumerate(value)]
    if None in elements:
        raise _DoesNotFit(f"{path}[{elements.index(None)}] is NULL, which an array cannot hold")
    return elements


def _encode_one(value: object, column: Column, path: str) -> object:
    if value is None:
        return None
    if column.field_type == "RECORD":
        if not isinstance(value, Mapping):
            raise _DoesNotFit(f"{path} is {value!r:.80}, not a record")
        unknown = sorted(map(str, value.keys() - {field.name for field in column.fields}))
        if unknown:
            raise _DoesNotFit(f"{path} has fields that the table lacks: {', '.join(unknown)}")
        return _encode_fields(value, column.fields, f"{path}.")
    if column.field_type == "JSON":
        return _to_json(value, path)
    encoder, type_name = _encoder(column)
    try:
        return encoder(value)
    except (ValueError, TypeError, ArithmeticError):
        raise _DoesNotFit(f"{path} is {value!r:.80}, not {type_name}") from None


def _to_plain(value: object) -> object:
    """Python's value for a numpy scalar or array and a pandas series; None for NaT and NA."""
    if hasattr(value, "dtype"):
        array: Any = value
        # in nanoseconds, numpy's own conversion gives an integer
        value = (array.astype("datetime64[us]") if array.dtype.kind == "M" else array).tolist()
    is_missing = not isinstance(value, str | list | tuple | Mapping) and str(value) in ("NaT", "<NA>")
    return None if is_missing else value


def _to_json(value: object, path: str) -> object:
    """A value of a JSON column or of a part of one; numbers are JSON numbers, dates are text."""
    value = _to_plain(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _DoesNotFit(f"{path} has a key that is no text")
        return {key: _to_json(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json(part, f"{path}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, Decimal | float):
        if not math.isfinite(value):
            raise _DoesNotFit(f"{path} is {value}, which no table can hold")
        return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else float(value) + 0.0
    if isinstance(value, date | time):
        return value.isoformat()
    if value is None or isinstance(value, str | int):
        return value
    raise _DoesNotFit(f"{path} is {value!r:.80}, not a JSON value")


def _text(value: object) -> str:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return str(value)
    raise ValueError


def _integer(value: object) -> int:
    number = _number(value)
    if number != number.to_integral_value() or not -_INT64 <= number < _INT64:
        raise ValueError
    return int(number)


def _float(value: object) -> float:
    number = float(_number(value)) + 0.0  # −0.0 is 0.0: as keys and as text the two would differ
    if not math.isfinite(number):  # a decimal too large for a float
        raise ValueError
    return number


def _decimal(value: object, before: int, after: int) -> str:
    """Rounds half away from zero to `after` digits, as BigQuery does; refuses more than `before` digits before the point."""
    with localcontext(prec=before + after):
        number = _number(value).quantize(_ONE.scaleb(-after), ROUND_HALF_UP)  # raises for too many digits
        return format(number.normalize() + 0, "f")


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError
    number = Decimal(str(value))
    if not number.is_finite():
        raise InvalidOperation
    return number


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _timestamp(value: object) -> str:
    """In UTC; a time without a zone is in UTC, as BigQuery reads it."""
    moment = _moment(value)
    utc = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return utc.isoformat(timespec="microseconds")


def _datetime(value: object) -> str:
    moment = _moment(value)
    if moment.tzinfo:
        raise ValueError
    return moment.isoformat(timespec="microseconds")


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value.isoformat() if isinstance(value, date) else cast(str, value))


def _date(value: object) -> str:
    moment = _moment(value)
    if moment.time() != time():
        raise ValueError
    return moment.date().isoformat()


def _time(value: object) -> str:
    moment = value if isinstance(value, time) else time.fromisoformat(cast(str, value))
    if moment.tzinfo:
        raise ValueError
    return moment.isoformat(timespec="microseconds")


def _bytes(value: object) -> str:
    """Base64, in which a text already is."""
    if isinstance(value, str):
        return base64.b64encode(base64.b64decode(value, validate=True)).decode()
    return base64.b64encode(memoryview(cast(bytes, value))).decode()


def _geography(value: object) -> str:
    """WKT or GeoJSON as text; a GeoJSON object becomes its text."""
    return json.dumps(_to_json(value, "")) if isinstance(value, Mapping) else _text(value)


_ENCODERS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "INTEGER": (_integer, "an integer of 64 bits"),
    "FLOAT": (_float, "a finite number"),
    "BOOLEAN": (_boolean, "true or false"),
    "TIMESTAMP": (_timestamp, "a time"),
    "DATETIME": (_datetime, "a time without a zone"),
    "DATE": (_date, "a date"),
    "TIME": (_time, "a time of day"),
    "BYTES": (_bytes, "bytes or base64"),
    "GEOGRAPHY": (_geography, "WKT or GeoJSON"),
}
_DECIMAL_DIGITS = {"NUMERIC": (29, 9), "BIGNUMERIC": (38, 38)}  # before and after the point


def _encoder(column: Column) -> tuple[Callable[[object], object], str]:
    """How a value of this column is encoded, and what it must be."""
    if column.field_type not in _DECIMAL_DIGITS:
        return _ENCODERS.get(column.field_type, (_text, "a text"))
    before, after = _DECIMAL_DIGITS[column.field_type]
    after = after if column.scale is None else column.scale
    return partial(_decimal, before=before, after=after), f"a number of at most {before} digits before the point"
