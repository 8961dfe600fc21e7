"""The columns of a table or view after a CREATE or ALTER, which the emulator records wrongly or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind, TypeProto

from services.sandbox.bigquery import googlesql
from services.sandbox.bigquery.googlesql import Node
from services.sandbox.bigquery.sql_analysis import Field, build_catalog, build_options

_CREATE_IF_NOT_EXISTS = 2  # ResolvedCreateStatementEnums.CreateMode
_NAMES = {"INT64": "INTEGER", "DOUBLE": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def schema_after(statement: Node, current: Sequence[Field] | None) -> list[Field] | None:
    """The fields after the statement (AnyResolvedStatementProto), or None where it changes none.

    `current` are those before, None if there was no such table.
    """
    if statement.WhichOneof("node") == "resolved_create_statement_node":
        if current is not None and _find(statement, "create_mode") == _CREATE_IF_NOT_EXISTS:
            return list(current)
        definitions = _find(statement, "column_definition_list") or ()
        return [_to_field(definition) for definition in definitions] or None
    alter = statement.resolved_alter_object_stmt_node
    if alter.WhichOneof("node") != "resolved_alter_table_stmt_node":
        return None
    fields = list(current or ())
    for action in alter.resolved_alter_table_stmt_node.parent.alter_action_list:
        fields = _apply_action(fields, _unwrap(action))
    return fields


@lru_cache
def declared_fields(sql: str) -> list[Field]:
    """The fields of a CREATE TABLE that lists its columns."""
    statement = googlesql.analyze(sql, build_options(()), build_catalog({}, {}))
    return schema_after(statement, None) or []


def _find(node: Node, name: str) -> Node:
    """A field of the statement, wherever its class in the hierarchy keeps it; None if it is not set."""
    for field, value in node.ListFields():
        if field.name == name:
            return value
        inside = field.message_type is not None and not field.is_repeated and field.name != "query"
        if inside and (found := _find(value, name)) is not None:
            return found
    return None


def _apply_action(fields: list[Field], action: Node) -> list[Field]:
    kind = action.DESCRIPTOR.name
    names = [field["name"].lower() for field in fields]
    if kind == "ResolvedAddColumnActionProto":
        definition = action.column_definition
        return fields if definition.name.lower() in names else [*fields, _to_field(definition)]
    if kind == "ResolvedDropColumnActionProto":
        return [field for field in fields if field["name"].lower() != action.name.lower()]
    if kind == "ResolvedRenameColumnActionProto":
        return [{**f, "name": action.new_name} if f["name"].lower() == action.name.lower() else f for f in fields]
    column = action.parent.column.lower() if kind.startswith("ResolvedAlterColumn") else ""
    if kind == "ResolvedAlterColumnSetDataTypeActionProto":
        kept = {"name": column, "mode": "NULLABLE"}
        return [
            {**kept, "name": f["name"], **_type_of(action.updated_type)} if f["name"].lower() == column else f
            for f in fields
        ]
    if kind == "ResolvedAlterColumnDropNotNullActionProto":
        return [{**f, "mode": "NULLABLE"} if f["name"].lower() == column else f for f in fields]
    return fields


def _unwrap(node: Node) -> Node:
    while "node" in node.DESCRIPTOR.oneofs_by_name:
        node = getattr(node, node.WhichOneof("node"))
    return node


def _to_field(definition: Node) -> Field:
    field = {"name": definition.name, "mode": "NULLABLE", **_type_of(definition.type)}
    return {**field, "mode": "REQUIRED"} if definition.annotations.not_null else field


def _type_of(kind: TypeProto) -> Field:
    if kind.type_kind == TypeKind.TYPE_ARRAY:
        return {**_type_of(kind.array_type.element_type), "mode": "REPEATED"}
    name = TypeKind.Name(kind.type_kind).removeprefix("TYPE_")
    field: Field = {"type": _NAMES.get(name, name)}
    if kind.type_kind == TypeKind.TYPE_STRUCT:
        field["fields"] = [
            {"name": child.field_name, "mode": "NULLABLE", **_type_of(child.field_type)}
            for child in kind.struct_type.field
        ]
    return field
