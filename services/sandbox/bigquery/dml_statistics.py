"""The rows that a DML statement inserted, updated and deleted, as BigQuery's dmlStats; of a MERGE the emulator knows only their sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import duckdb

Execute = Callable[[str, list[Any] | None], duckdb.DuckDBPyConnection]
_merged: ContextVar[Counter[str] | None] = ContextVar("merged rows by action", default=None)
_NAMES = {"INSERT": "insertedRowCount", "UPDATE": "updatedRowCount", "DELETE": "deletedRowCount"}


def begin_statement() -> Counter[str]:
    """Filled with the rows by action when the emulator, called from here on, executes a MERGE."""
    merged = Counter[str]()
    _merged.set(merged)
    return merged


def execute_merge(execute: Execute, sql: str, parameters: list[Any] | None) -> duckdb.DuckDBPyConnection:
    """Run a MERGE in DuckDB's dialect; its result is the number of rows, as DuckDB gives it."""
    actions = Counter(action for (action,) in execute(f"{sql} RETURNING merge_action", parameters).fetchall())
    if (merged := _merged.get()) is not None:
        merged.update(actions)
    return execute('SELECT ?::BIGINT AS "Count"', [actions.total()])


def dml_stats(kind: str, affected_rows: int, merged: Mapping[str, int]) -> dict[str, str]:
    """DmlStatistics of a job, for a statement of this kind."""
    counts = merged if kind == "MERGE" else {kind: affected_rows}
    return {name: str(counts.get(action, 0)) for action, name in _NAMES.items()}
