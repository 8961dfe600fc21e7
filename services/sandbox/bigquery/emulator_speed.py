"""What the emulator would do anew each time, or line by line: parse and translate a statement, format equal values, read an upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from services.sandbox.bigquery.uploads import parse_multipart

MAX_TEXTS, MAX_TEXT_CHARACTERS = 1_000, 20_000  # a longer text carries rows, and comes once
_PLAIN_TYPES = (
    *(pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean),
    *(pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp),
)
_parse = Dialect.parse


def _remember(work: Callable[..., Any]) -> Callable[..., Any]:
    """`work` on a text, done once for each text that carries no rows. What it gives is not changed by anyone."""
    remembered = lru_cache(MAX_TEXTS)(work)

    def do_once(sql: str, *context: Any) -> Any:  # noqa: ANN401 — the emulator's own types
        return (work if len(sql) > MAX_TEXT_CHARACTERS else remembered)(sql, *context)

    return do_once


def _remember_nothing(detect: Callable[..., Any], nothing: object) -> Callable[..., Any]:
    """`detect`, which is not asked again about a text in which it has found nothing. What it finds may be changed, and is not kept."""
    is_found = _remember(lambda sql, *project: len(sql) > MAX_TEXT_CHARACTERS or detect(sql, *project) != nothing)

    def detect_once(sql: str, *project: str) -> Any:  # noqa: ANN401 — the emulator's own types
        return detect(sql, *project) if is_found(sql, *project) else nothing

    return detect_once


def share_work() -> None:
    """Have this process parse a statement's text once, and translate it once for each state of the tables' schemas."""
    from bqemulator.api.routes import upload
    from bqemulator.catalog import ddl_sync
    from bqemulator.jobs import executor
    from bqemulator.sql.translator import SQLTranslator

    translate = SQLTranslator.translate
    nothing_found = {  # what looks for DDL in every statement, and what each returns where there is none
        (ddl_sync, "_detect_catalog_drop"): None,
        (ddl_sync, "_detect_create_schema"): None,
        (ddl_sync, "_detect_plain_create_table"): None,
        (ddl_sync, "_detect_plain_create_view"): (None, None),
        (executor, "detect_drop_routine"): None,
    }

    @_remember
    def translate_text(sql: str, schema: _Schema, caller: Any) -> Any:  # noqa: ANN401 — the emulator's own types
        return translate(SQLTranslator(), sql, schema=schema.tables, caller=caller)

    def translate_once(_: SQLTranslator, bq_sql: str, *, schema: Any = None, caller: Any = None) -> Any:  # noqa: ANN401
        return translate_text(bq_sql, _Schema(repr(schema), schema), caller)

    if Dialect.parse is _parse:
        upload._parse_multipart_related = parse_multipart  # type: ignore[assignment]
        Dialect.parse = _copy_parsed  # type: ignore[method-assign, assignment]
        SQLTranslator.translate = translate_once  # type: ignore[method-assign, assignment]
        for (module, name), nothing in nothing_found.items():
            setattr(module, name, _remember_nothing(getattr(module, name), nothing))
        for module, name in ((executor, "rewrite_table_refs"), (executor, "classify_statement_type")):
            setattr(module, name, _remember(getattr(module, name)))


@dataclass(frozen=True)
class _Schema:
    text: str
    tables: Any = field(compare=False)


@lru_cache(MAX_TEXTS)
def _parse_text(dialect: type[Dialect], sql: str) -> list[exp.Expr | None]:
    return _parse(dialect(), sql)


def _copy_parsed(dialect: Dialect, sql: str, **options: Any) -> list[exp.Expr | None]:  # noqa: ANN401 — sqlglot's own
    if options or dialect.settings or len(sql) > MAX_TEXT_CHARACTERS:
        return _parse(dialect, sql, **options)
    return [tree and tree.copy() for tree in _parse_text(type(dialect), sql)]


def to_wire_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows in tabledata.list's shape, as the emulator writes them."""
    columns = [_to_wire(rows.column(index), column) for index, column in enumerate(rows.schema)]
    return [{"f": [{"v": value} for value in values]} for values in zip(*columns, strict=True)]


def _to_wire(values: pa.ChunkedArray, column: pa.Field) -> list[Any]:
    from bqemulator.storage.arrow_bridge import _format_bq_value

    def format_all(values: Any) -> list[Any]:  # noqa: ANN401 — a chunked array or one chunk
        return [_format_bq_value(value, column.type, field=column) for value in values.to_pylist()]

    if not any(is_type(column.type) for is_type in _PLAIN_TYPES):
        return format_all(values)
    encoded = values.combine_chunks().dictionary_encode()
    texts = format_all(encoded.dictionary)
    return [None if index is None else texts[index] for index in encoded.indices.to_pylist()]
