"""Changes of a table's schema: which BigQuery allows, and the statements that carry one out in DuckDB.

A field is a TableFieldSchema of the REST API; what is refused raises SchemaMismatch with the end of BigQuery's message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Field = dict[str, Any]
_WIRE_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC"}


class SchemaMismatch(ValueError):
    """The new schema is no allowed change of the table's; the text follows "Provided Schema does not match Table x."."""


def wire_type(field: Field) -> str:
    """The field's type as the REST API spells it (INT64 is INTEGER there)."""
    name = str(field.get("type", "STRING")).upper()
    return _WIRE_TYPES.get(name, name)


def mode(field: Field) -> str:
    """NULLABLE, REQUIRED or REPEATED."""
    return str(field.get("mode") or "NULLABLE").upper()


def merge_schema(
    current: Sequence[Field],
    wanted: Sequence[Field],
    *,
    may_add: bool = True,
    may_relax: bool = True,
    may_omit: bool = False,
    parent: str = "",
) -> list[Field]:
    """The table's fields after the change: the current ones in their order, then the new ones. Raises SchemaMismatch.

    `may_omit`: optional fields may be left out and stay (a load's schema), as none may in tables.patch.
    """
    wanted_by_name = {field["name"].lower(): field for field in wanted}
    options = {"may_add": may_add, "may_relax": may_relax, "may_omit": may_omit}
    merged: list[Field] = []
    for field in current:
        new = wanted_by_name.pop(field["name"].lower(), None)
        path = parent + field["name"]
        if new is not None:
            merged.append(_merge_field(field, new, path, options))
        elif may_omit and mode(field) != "REQUIRED":
            merged.append(field)
        else:
            raise SchemaMismatch(f"Field {path} is missing in new schema")
    for field in wanted_by_name.values():
        if not may_add:
            raise SchemaMismatch(f"Cannot add fields (field: {parent}{field['name']})")
        if mode(field) == "REQUIRED":
            raise SchemaMismatch(f"Cannot add required fields to an existing schema. (field: {parent}{field['name']})")
    return [*merged, *wanted_by_name.values()]


def _merge_field(field: Field, new: Field, path: str, options: dict[str, bool]) -> Field:
    if wire_type(new) != wire_type(field):
        raise SchemaMismatch(f"Field {path} has changed type from {wire_type(field)} to {wire_type(new)}")
    relaxed = (mode(field), mode(new)) == ("REQUIRED", "NULLABLE") and options["may_relax"]
    if mode(new) != mode(field) and not relaxed:
        raise SchemaMismatch(f"Field {path} has changed mode from {mode(field)} to {mode(new)}")
    merged = {**field, **new, "name": field["name"], "type": field["type"]}
    if wire_type(field) == "RECORD":
        merged["fields"] = merge_schema(field.get("fields", ()), new.get("fields", ()), **options, parent=f"{path}.")
    return merged


def add_column_statements(table: str, current: Sequence[Field], merged: Sequence[Field]) -> list[str]:
    """DuckDB's ALTER TABLE statements that add to `table` (quoted) what `merged` has more than `current`."""
    from bqemulator.storage.type_map import bq_schema_to_duckdb_columns

    return [
        f"ALTER TABLE {table} ADD COLUMN {path} {bq_schema_to_duckdb_columns([field])[0][1]}"
        for path, field in _added_fields(current, merged, "")
    ]


def _added_fields(current: Sequence[Field], merged: Sequence[Field], parent: str) -> Iterator[tuple[str, Field]]:
    current_by_name = {field["name"].lower(): field for field in current}
    for field in merged:
        path = f'{parent}"{field["name"]}"'
        old = current_by_name.get(field["name"].lower())
        if old is None:
            yield path, field
        elif wire_type(field) == "RECORD":
            element = ".element" if mode(field) == "REPEATED" else ""
            yield from _added_fields(old.get("fields", ()), field.get("fields", ()), f"{path}{element}.")
