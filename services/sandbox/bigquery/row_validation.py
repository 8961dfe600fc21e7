"""Rows as a load or insertAll brings them: checked against the schema as BigQuery does, and made ready for DuckDB.

What is wrong with a row raises InvalidRow, with the words of either way in.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Union

from services.sandbox.bigquery.schema_changes import Field, mode, wire_type

Scalar = str | int | float | bool
JsonValue = Union[Scalar, None, list["JsonValue"], dict[str, "JsonValue"]]  # noqa: UP007 – an alias that names itself
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}


class InvalidRow(ValueError):
    """`load_message` and `stream_message` are BigQuery's words; `location` is the field in an insertAll error."""

    def __init__(self, load_message: str, stream_message: str = "", location: str = "") -> None:
        super().__init__(load_message)
        self.load_message, self.stream_message = load_message, stream_message or load_message
        self.location = location


def normalize_row(
    fields: Sequence[Field], row: JsonValue, *, ignore_unknown: bool = False, streamed: bool = False, parent: str = ""
) -> dict[str, JsonValue]:
    """The row with the schema's field names and JSON values that DuckDB casts losslessly; raises InvalidRow.

    `streamed`: a JSON column then takes JSON text, as in insertAll, and not a JSON value, as in a load.
    """
    if not isinstance(row, dict):
        raise InvalidRow(f"Start of array or scalar encountered where an object was expected{_of(parent)}.")
    fields_by_name = {field["name"].lower(): field for field in fields}
    values: dict[str, JsonValue] = {}
    for name, value in row.items():
        field = fields_by_name.get(name.lower())
        if field is not None:
            values[field["name"]] = value
        elif not ignore_unknown:
            path = parent + name
            raise InvalidRow(f"No such field: {path}.", f"no such field: {path}.", path)
    normalized: dict[str, JsonValue] = {}
    for field in fields:
        path = parent + field["name"]
        if field["name"] in values:
            normalized[field["name"]] = _normalize_field(field, values[field["name"]], path, ignore_unknown, streamed)
        elif mode(field) == "REQUIRED":
            raise _missing(path)
        else:
            normalized[field["name"]] = [] if mode(field) == "REPEATED" else None
    return normalized


def _of(parent: str) -> str:
    return f" in field {parent.removesuffix('.')}" if parent else ""


def _missing(path: str) -> InvalidRow:
    return InvalidRow(f"Missing required field: {path}.", f"Missing required field: Msg_0_CLOUD_QUERY_TABLE.{path}.")


def _normalize_field(field: Field, value: JsonValue, path: str, ignore_unknown: bool, streamed: bool) -> JsonValue:
    if value is None and mode(field) == "NULLABLE":
        return None
    if value is None and mode(field) == "REQUIRED" and streamed:
        raise _missing(path)
    if value is None:
        raise InvalidRow(f"Only optional fields can be set to NULL. Field: {path}; Value: NULL", location=path)
    if mode(field) != "REPEATED":
        return _normalize_value(field, value, path, ignore_unknown, streamed)
    if not isinstance(value, list):
        raise InvalidRow(f"Repeated field must be imported as a JSON array. Field: {path}.", location=path)
    element = {**field, "mode": "REQUIRED"}
    return [_normalize_field(element, item, path, ignore_unknown, streamed) for item in value]


def _normalize_value(field: Field, value: JsonValue, path: str, ignore_unknown: bool, streamed: bool) -> JsonValue:
    kind = wire_type(field)
    if kind == "JSON" and not streamed:
        return value
    if kind == "RECORD" and isinstance(value, dict):
        return normalize_row(
            field.get("fields", ()), value, ignore_unknown=ignore_unknown, streamed=streamed, parent=f"{path}."
        )
    if isinstance(value, dict):
        raise InvalidRow(
            f"JSON object specified for non-record field: {path}", f"This field: {path} is not a record.", path
        )
    if isinstance(value, list):
        raise InvalidRow(f"Array specified for non-repeated field: {path}.", location=path)
    if value is None:
        return None
    try:
        return _CONVERTERS.get(kind, _spell)(value)
    except (ValueError, ArithmeticError, OSError):
        name = kind.lower()
        raise InvalidRow(
            f"Could not convert value '{_describe(value)}' to {name}. Field: {path}; Value: {_spell(value)}",
            f"Cannot convert value to {name} (bad value): {_spell(value)}",
            path,
        ) from None


def _describe(value: Scalar) -> str:
    if isinstance(value, bool):
        return f"bool_value: {str(value).lower()}"
    if isinstance(value, str):
        return f"string_value: {json.dumps(value, ensure_ascii=False)}"
    return f"{'int64' if isinstance(value, int) else 'double'}_value: {value}"


def _spell(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number_text(value: Scalar) -> str:
    """A number's text; Python alone would also read a boolean or 1_000 as one."""
    text = str(value).strip()
    if isinstance(value, bool) or "_" in text:
        raise ValueError
    return text


def _to_integer(value: Scalar) -> int:
    number = int(_number_text(value))
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _to_float(value: Scalar) -> float | str:
    number = float(_number_text(value))
    return number if math.isfinite(number) else str(number)


def _to_numeric(value: Scalar) -> str:
    number = Decimal(_number_text(value))
    if not number.is_finite() or abs(number) >= Decimal(10) ** 29:
        raise ValueError
    return format(number, "f")


def _to_boolean(value: Scalar) -> bool:
    if isinstance(value, float):
        raise ValueError
    try:
        return _BOOLEANS[_spell(value).strip().lower()]
    except KeyError:
        raise ValueError from None


def _to_date(value: Scalar) -> str:
    if not _DATE.fullmatch(str(value)):
        raise ValueError
    return date.fromisoformat(str(value)).isoformat()


def _to_datetime(value: Scalar) -> str:
    if not _DATE.match(str(value)):
        raise ValueError
    at = datetime.fromisoformat(str(value))
    if at.tzinfo is not None:
        raise ValueError
    return at.isoformat()


def _to_time(value: Scalar) -> str:
    at = time.fromisoformat(str(value))
    if at.tzinfo is not None or ":" not in str(value):
        raise ValueError
    return at.isoformat()


def _to_timestamp(value: Scalar) -> str:
    """A number is seconds since the epoch; a text without a zone is UTC."""
    if isinstance(value, bool):
        raise ValueError
    text = str(value).strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC).isoformat()
    if not _DATE.match(text):
        raise ValueError
    at = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", text))
    return at.replace(tzinfo=at.tzinfo or UTC).isoformat()


def _to_bytes(value: Scalar) -> str:
    return "".join(f"\\x{byte:02X}" for byte in base64.b64decode(str(value), validate=True))


def _parse_json(value: Scalar) -> JsonValue:
    parsed: JsonValue = json.loads(str(value))
    return parsed


_CONVERTERS: dict[str, Callable[[Scalar], JsonValue]] = {
    "INTEGER": _to_integer,
    "FLOAT": _to_float,
    "NUMERIC": _to_numeric,
    "BIGNUMERIC": _to_numeric,
    "BOOLEAN": _to_boolean,
    "DATE": _to_date,
    "DATETIME": _to_datetime,
    "TIME": _to_time,
    "TIMESTAMP": _to_timestamp,
    "BYTES": _to_bytes,
    "JSON": _parse_json,
}
