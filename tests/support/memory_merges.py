"""Remembers what a MERGE did to tables of the same content, so that thousands of runs need the engine for the new ones only.

A MERGE of ours only compares instants, so instants count by their order: two inputs that differ in times alone are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.memory_engine import Row

_known: dict[str, tuple[list[Row], Mapping[str, int]]] = {}


@dataclass(frozen=True)
class _Instant:
    """The n-th of the instants in a MERGE's tables and parameters."""

    number: int


class MergeInput:
    """A MERGE's statement, parameters and the rows of its tables."""

    def __init__(self, sql: str, params: Mapping[str, Any], tables: Sequence[Sequence[Row]]) -> None:
        values = (value for rows in tables for row in rows for value in row.values())
        instants = {v for v in (*values, *params.values()) if isinstance(v, datetime)}
        self._instants = sorted(instants)
        self._numbers = {instant: _Instant(n) for n, instant in enumerate(self._instants)}
        self._key = repr((sql, self._to_numbers(params), [[self._to_numbers(row) for row in rows] for rows in tables]))

    def find(self) -> tuple[list[Row], Mapping[str, int]] | None:
        """The rows of the target afterwards, and how many were inserted and updated; None: not known yet."""
        if self._key not in _known:
            return None
        rows, changes = _known[self._key]
        return [self._to_instants(row) for row in rows], changes

    def remember(self, rows: Iterable[Row], changes: Mapping[str, int]) -> None:
        _known[self._key] = [self._to_numbers(row) for row in rows], changes

    def _to_numbers(self, row: Mapping[str, Any]) -> Row:
        return {name: self._numbers[v] if isinstance(v, datetime) else v for name, v in row.items()}

    def _to_instants(self, row: Row) -> Row:
        return {name: self._instants[v.number] if isinstance(v, _Instant) else v for name, v in row.items()}
