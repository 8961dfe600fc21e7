"""What BigQuery says to a statement before it runs: its error, or what the emulator needs to know to run it right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError, Message
from zetasql.wasi._pb2.zetasql.proto.options_pb2 import AnalyzerOptionsProto
from zetasql.wasi._pb2.zetasql.proto.simple_catalog_pb2 import SimpleCatalogProto
from zetasql.wasi._pb2.zetasql.public.type_pb2 import TypeKind, TypeProto

from services.sandbox.bigquery import googlesql
from services.sandbox.bigquery.googlesql import Node

Field = dict[str, Any]  # TableFieldSchema of the REST API
TablePath = tuple[
    str, ...
]  # a table as a statement writes it: ("project.dataset.table",) when all of it is in backticks
PARTITION_PSEUDO_COLUMNS = {"_PARTITIONTIME": "TIMESTAMP", "_PARTITIONDATE": "DATE"}
_PLACE = re.compile(r" \[at (\d+:\d+)\]")
_KINDS = {
    "INTEGER": "INT64",
    "FLOAT": "DOUBLE",
    "FLOAT64": "DOUBLE",
    "BOOLEAN": "BOOL",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_TYPE_KINDS = frozenset(TypeKind.keys())
_CAST = re.compile(r"(?:SAFE_)?CAST\s*\(", re.IGNORECASE)
_NEEDS_FACTS = re.compile(r"CAST\s*\(|INSERT\s+ROW\b", re.IGNORECASE)  # only then is the resolved statement walked
# Functions of BigQuery that GoogleSQL's open source lacks, routines of a dataset, and kinds of statements.
_LEFT_TO_EMULATOR = re.compile(
    r"(?:Table-valued f|F)unction not found: (?:contains_substr|search|\S+\.\S+)|Statement not supported", re.IGNORECASE
)


@dataclass(frozen=True)
class Analysis:
    """BigQuery's error, empty if there is none; otherwise where the statement means more than the emulator makes of it.

    `rounded_casts` are the places (first and last character + 1) of casts from FLOAT64 to INT64, `folded_casts` those of
    constants, with BigQuery's value; `inserted_row` are the columns of MERGE's INSERT ROW, as (target, source).
    """

    error: str = ""
    rounded_casts: tuple[tuple[int, int], ...] = ()
    folded_casts: tuple[tuple[int, int, str], ...] = ()
    inserted_row: tuple[tuple[str, str], ...] = ()
    ddl: Any = None  # the resolved statement when it creates or alters a table or view


@lru_cache(maxsize=500)
def find_tables(sql: str, script: bool = False) -> tuple[tuple[TablePath, ...], str]:
    """The tables a statement names, as written, and BigQuery's syntax error, if it has one."""
    try:
        return tuple(googlesql.table_paths(sql, script)), ""
    except googlesql.GoogleSqlError as error:
        return (), _to_message(error)


class SqlAnalyzer:
    """Analyzes statements, each once for the same tables and parameters; it keeps the last 500 answers."""

    def __init__(self) -> None:
        self.analyze = lru_cache(maxsize=500)(_analyze)


def _to_message(error: googlesql.GoogleSqlError) -> str:
    return _PLACE.sub(r" at [\1]", str(error))


def _analyze(sql: str, tables: bytes, parameters: bytes) -> Analysis:
    """`tables` is a serialized catalog (build_catalog), `parameters` serialized options (build_options)."""
    try:
        statement = googlesql.analyze(sql, parameters, tables)
    except googlesql.GoogleSqlError as error:
        message = _to_message(error)
        return Analysis() if _LEFT_TO_EMULATOR.match(message) else Analysis(message)
    except DecodeError:  # accepted, but nested too deeply for Python's protobuf
        return Analysis()
    if statement.WhichOneof("node") in {"resolved_create_statement_node", "resolved_alter_object_stmt_node"}:
        return Analysis(ddl=statement)
    if not _NEEDS_FACTS.search(sql):
        return Analysis()
    text = sql.encode()
    casts = [
        (len(text[:start].decode()), len(text[:end].decode()), value) for start, end, value in _find_casts(statement)
    ]
    return Analysis(
        rounded_casts=tuple((start, end) for start, end, value in casts if value is None),
        folded_casts=tuple(
            (start, end, value) for start, end, value in casts if value is not None and _CAST.match(sql, start)
        ),
        inserted_row=_inserted_row(statement),
    )


def _find_casts(node: Message) -> Iterator[tuple[int, int, str | None]]:
    """Every cast from FLOAT64 to INT64, and every INT64 constant with its value, as first and last byte + 1."""
    for field, value in node.ListFields():
        if field.message_type is None:
            continue
        for child in value if field.is_repeated else (value,):
            name = child.DESCRIPTOR.name
            if name in {"ResolvedCastProto", "ResolvedLiteralProto"}:
                place = child.parent.parent.parse_location_range
                if name == "ResolvedLiteralProto" and child.value.value.HasField("int64_value"):
                    yield place.start, place.end, str(child.value.value.int64_value)
                elif name == "ResolvedCastProto" and _is_float_to_integer(child):
                    yield place.start, place.end, None
            yield from _find_casts(child)


def _is_float_to_integer(cast: Node) -> bool:
    if cast.parent.type.type_kind != TypeKind.TYPE_INT64:
        return False
    inner = cast.expr
    while "node" in inner.DESCRIPTOR.oneofs_by_name:  # AnyResolved…: one of the node's possible classes
        inner = getattr(inner, inner.WhichOneof("node"))
    while "type" not in inner.DESCRIPTOR.fields_by_name:  # the base class of all expressions has the type
        inner = inner.parent
    return bool(inner.type.type_kind == TypeKind.TYPE_DOUBLE)


def _inserted_row(statement: Node) -> tuple[tuple[str, str], ...]:
    if statement.WhichOneof("node") != "resolved_merge_stmt_node":
        return ()
    for when in statement.resolved_merge_stmt_node.when_clause_list:
        if when.insert_column_list:
            sources = [_column_name(value.value) for value in when.insert_row.value_list]
            if all(sources):
                return tuple(zip((column.name for column in when.insert_column_list), sources, strict=True))
    return ()


def _column_name(value: Node) -> str:
    """The column that an inserted value is, through the casts of the assignment; "" for any other expression."""
    node = value.WhichOneof("node")
    if node == "resolved_cast_node":
        return _column_name(value.resolved_cast_node.expr)
    return str(value.resolved_column_ref_node.column.name) if node == "resolved_column_ref_node" else ""


def build_catalog(
    tables: Mapping[TablePath, Sequence[Field]], pseudo_columns: Mapping[TablePath, Mapping[str, str]]
) -> bytes:
    """The catalog of one statement: each table under the path by which the statement names it."""
    root = SimpleCatalogProto(name="bigquery")
    root.builtin_function_options.language_options.CopyFrom(googlesql.language_options())
    folders: dict[TablePath, Any] = {(): root}
    for path, fields in tables.items():
        for depth in range(1, len(path)):
            if path[:depth] not in folders:
                folders[path[:depth]] = folders[path[: depth - 1]].catalog.add(name=path[depth - 1])
        table = folders[path[:-1]].table.add(name=path[-1], full_name=".".join(path))
        for field in fields:
            table.column.add(name=field["name"], type=field_type(field))
        for name, kind in pseudo_columns.get(path, {}).items():
            table.column.add(name=name, type=scalar_type(kind), is_pseudo_column=True, is_writable_column=False)
    return bytes(root.SerializeToString(deterministic=True))


def build_options(parameters: Sequence[Mapping[str, Any]]) -> bytes:
    """The analyzer's options with a query's parameters, as in the REST API's queryParameters."""
    options = AnalyzerOptionsProto(default_timezone="UTC", preserve_column_aliases=True)
    options.language_options.CopyFrom(googlesql.language_options())
    options.error_message_mode = 1  # ERROR_MESSAGE_ONE_LINE
    for name in ("_PARTITIONTIME", "_PARTITIONDATE"):
        options.ddl_pseudo_columns.add(name=name, type=scalar_type(PARTITION_PSEUDO_COLUMNS[name]))
    options.parse_location_record_type = 1  # PARSE_LOCATION_RECORD_FULL_NODE_SCOPE
    named = [parameter for parameter in parameters if parameter.get("name")]
    for parameter in named:
        options.query_parameters.add(name=parameter["name"], type=parameter_type(parameter.get("parameterType", {})))
    if parameters and not named:
        options.parameter_mode = 1  # PARAMETER_POSITIONAL
        for parameter in parameters:
            options.positional_query_parameters.append(parameter_type(parameter.get("parameterType", {})))
    return bytes(options.SerializeToString(deterministic=True))


def scalar_type(name: str) -> TypeProto:
    """The type of BigQuery's name for it; STRING for one that GoogleSQL does not know."""
    kind = f"TYPE_{_KINDS.get(name.upper(), name.upper())}"
    return TypeProto(type_kind=TypeKind.Value(kind) if kind in _TYPE_KINDS else TypeKind.TYPE_STRING)


def field_type(field: Field) -> TypeProto:
    """The type of a column, with its nested fields."""
    if field.get("mode") == "REPEATED":
        return _array_of(field_type({**field, "mode": "NULLABLE"}))
    if field["type"].upper() in {"RECORD", "STRUCT"}:
        return _struct_of([(child["name"], field_type(child)) for child in field.get("fields", ())])
    return scalar_type(field["type"])


def parameter_type(kind: Mapping[str, Any]) -> TypeProto:
    """The type of a query parameter (QueryParameterType)."""
    if kind.get("type") == "ARRAY":
        return _array_of(parameter_type(kind.get("arrayType", {})))
    if kind.get("type") == "STRUCT":
        return _struct_of([(child.get("name", ""), parameter_type(child["type"])) for child in kind["structTypes"]])
    return scalar_type(kind.get("type", "STRING"))


def _array_of(element: TypeProto) -> TypeProto:
    array = TypeProto(type_kind=TypeKind.TYPE_ARRAY)
    array.array_type.element_type.CopyFrom(element)
    return array


def _struct_of(fields: Sequence[tuple[str, TypeProto]]) -> TypeProto:
    struct = TypeProto(type_kind=TypeKind.TYPE_STRUCT)
    for name, kind in fields:
        struct.struct_type.field.add(field_name=name, field_type=kind)
    return struct
