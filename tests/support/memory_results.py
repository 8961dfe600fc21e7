"""Remembers what a statement gave on tables of the same content, so that thousands of runs need the engine for new content only.

Our statements only compare instants, so instants count by their order: two inputs that differ in times alone are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.memory_engine import Result, Row

MAX_RESULTS = 20_000
_results: dict[bytes, Result] = {}


@dataclass(frozen=True)
class _Instant:
    """The n-th of the instants in a statement's tables and parameters."""

    number: int


class StatementInput:
    """A statement, its parameters and the rows of its tables."""

    def __init__(self, sql: str, params: Mapping[str, Any], tables: Sequence[Sequence[Row]]) -> None:
        values = (value for rows in tables for row in rows for value in row.values())
        self._instants = sorted({v for v in (*values, *params.values()) if isinstance(v, datetime)})
        self._numbers = {instant: _Instant(n) for n, instant in enumerate(self._instants)}
        content = [[self._to_numbers(row.values()) for row in rows] for rows in tables]
        names = [list(rows[0]) if rows else [] for rows in tables]
        key = repr((sql, list(params), self._to_numbers(params.values()), names, content))
        self._key = hashlib.sha256(key.encode()).digest()

    def find(self) -> Result | None:
        """What the statement gave; None: not known yet."""
        known = _results.get(self._key)
        return known and Result(known.columns, [self._to_instants(row) for row in known.rows], known.changes)

    def remember(self, result: Result) -> None:
        """Keep a result whose instants are all among the statement's own."""
        if len(_results) >= MAX_RESULTS:
            _results.clear()
        instants = {value for row in result.rows for value in row if isinstance(value, datetime)}
        if instants <= self._numbers.keys():
            rows = [self._to_numbers(row) for row in result.rows]
            _results[self._key] = Result(result.columns, rows, result.changes)

    def _to_numbers(self, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(self._numbers[value] if isinstance(value, datetime) else value for value in values)

    def _to_instants(self, values: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(self._instants[value.number] if isinstance(value, _Instant) else value for value in values)
