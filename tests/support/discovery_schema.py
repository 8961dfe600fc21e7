"""Values against the schemas of Google's discovery documents: fields, types, enums and formats.

No kept library reads this dialect (JSON Schema draft 3 with formats of Google's own) fast enough to check every answer.
https://developers.google.com/discovery/v1/type-format
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LIST_SAMPLE = 50  # of a longer list the items from here on are not checked, but for the last

Schema = Mapping[str, Any]

_INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_PATTERNS = {
    "google-duration": re.compile(r"-?\d+(\.\d{1,9})?s"),
    "google-fieldmask": re.compile(r"[\w.`*/-]+(,[\w.`*/-]+)*"),
}


@dataclass(frozen=True)
class SchemaChecker:
    """Checks values by the schemas of one document.

    `enum_numbers`: a number may stand for an enum's name, as `$alt=json;enum-encoding=int` asks for.
    """

    schemas: Mapping[str, Schema]
    enum_numbers: bool = False

    def check(self, schema: Schema, value: object, path: str = "") -> Iterator[str]:
        """What the schema does not allow, a line each that begins with the field (`a.b[].c`)."""
        schema = self.schemas[schema["$ref"]] if "$ref" in schema else schema
        kind = schema.get("type")
        if kind == "any":
            return
        if value is None:
            yield f"{path}: null"
        elif kind == "object":
            yield from self._check_object(schema, value, path)
        elif kind == "array":
            yield from self._check_array(schema, value, path)
        elif (problem := self._scalar_problem(schema, value)) is not None:
            yield f"{path}: {problem}"

    def _check_object(self, schema: Schema, value: object, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: {_show(value)} is no object"
            return
        fields, others = self._fields_of(schema, value)
        for name, item in value.items():
            known = fields.get(name, others)
            where = f"{path}.{name if name in fields or known is None else '*'}".removeprefix(".")
            if known is None:
                yield f"{where}: there is no such field"
            else:
                yield from self.check(known, item, where)

    def _fields_of(self, schema: Schema, value: Mapping[str, Any]) -> tuple[Mapping[str, Schema], Schema | None]:
        """The fields that an object may have, and the schema of all others; an Any has the fields of its type."""
        message = str(value.get("@type", "")).rpartition("/")[2]
        name = "".join(part[:1].upper() + part[1:] for part in message.split("."))
        if "properties" not in schema and name in self.schemas:
            return {**self.schemas[name]["properties"], "@type": {"type": "string"}}, None
        return schema.get("properties", {}), schema.get("additionalProperties")

    def _check_array(self, schema: Schema, value: object, path: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield f"{path}: {_show(value)} is no list"
            return
        for item in value if len(value) <= LIST_SAMPLE else [*value[:LIST_SAMPLE], value[-1]]:
            yield from self.check(schema["items"], item, f"{path}[]")

    def _scalar_problem(self, schema: Schema, value: object) -> str | None:
        kind, form = schema["type"], schema.get("format", "")
        if kind == "string" and isinstance(value, str):
            return find_string_problem(schema, value)
        if kind == "string" and type(value) is int and "enum" in schema and self.enum_numbers:
            return None
        accepted = {
            "boolean": isinstance(value, bool),
            "integer": type(value) is int and _is_integer(str(value), form or "int32"),
            "number": type(value) in (int, float) or value in ("NaN", "Infinity", "-Infinity"),
        }
        return None if accepted.get(kind) else f"{_show(value)} is no {form or kind}"


def find_string_problem(schema: Schema, text: str) -> str | None:
    """Why a string is not what its schema (of a field or a parameter) says; None when it is."""
    form = schema.get("format", "")
    if "enum" in schema and text not in schema["enum"]:
        return f"{text!r} is none of its values"
    if form and not _has_format(text, form):
        return f"{text!r} is no {form}"
    if "pattern" in schema and not re.search(schema["pattern"], text):
        return f"{text!r} does not match {schema['pattern']}"
    return None


def find_parameter_problem(schema: Schema, text: str) -> str | None:
    """Why a query parameter's text is not what its schema says; None when it is."""
    kind = schema["type"]
    if kind == "boolean":
        return None if text in ("true", "false") else f"{text!r} is no boolean"
    if kind == "integer":
        form = schema.get("format", "int32")
        return None if _is_integer(text, form) else f"{text!r} is no {form}"
    return find_string_problem(schema, text)


def _has_format(text: str, form: str) -> bool:
    if form in _INTEGERS:
        return _is_integer(text, form)
    if form in _PATTERNS:
        return _PATTERNS[form].fullmatch(text) is not None
    if form in ("google-datetime", "date-time"):
        return _is_timestamp(text)
    return form != "byte" or _is_base64(text)


def _show(value: object) -> str:
    """A wrong value as a report shows it: by its type where the value itself says nothing."""
    return f"a {type(value).__name__}" if isinstance(value, (int, float, dict, list)) else repr(value)[:60]


def _is_integer(text: str, form: str) -> bool:
    low, high = _INTEGERS[form]
    return re.fullmatch(r"-?\d{1,20}", text) is not None and low <= int(text) <= high


def _is_timestamp(text: str) -> bool:
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return _TIMESTAMP.fullmatch(text) is not None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        return False
    return True
