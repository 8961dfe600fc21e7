"""Small loaded tables of the same columns share one DuckDB table, because each DuckDB table of 25 rows takes 0.7 MB of memory.

A packed table is a view of its rows until a statement changes it; then it becomes a table again. Its first snapshot for
FOR SYSTEM_TIME is such a view too. Rows stay when a table is dropped or changed: time travel reads them. Everything here runs
in the emulator's event loop.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

SCHEMA = "sandbox_packed"
MAX_ROWS = 1_000  # beyond that a table of its own costs little more
_CHANGE = re.compile(
    r"(?:INSERT\s+INTO|MERGE\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|COPY|ALTER\s+TABLE|DROP\s+TABLE(?:\s+IF\s+EXISTS)?"
    r'|CREATE\s+(?:OR\s+REPLACE\s+)?TABLE(?:\s+IF\s+NOT\s+EXISTS)?)\s+("[^"]+"\."[^"]+")',
    re.IGNORECASE,
)
Execute = Callable[..., duckdb.DuckDBPyConnection]


@dataclass(frozen=True)
class _Place:
    """Where the rows of a packed table are, its columns, and which of them are REQUIRED."""

    store: str
    number: int
    columns: tuple[str, ...]
    required: tuple[str, ...]

    def select(self, columns: Sequence[str] = ()) -> str:
        return f"SELECT {_list(columns or self.columns)} FROM {self.store} WHERE _table = {self.number}"


class PackedTables:
    """The packed tables of one emulator, by their quoted name in DuckDB ("project__dataset"."table")."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._places: dict[str, _Place] = {}
        self._stores: dict[Any, str] = {}
        self._count = 0

    def pack(self, name: str, schema: Any) -> _Place:  # noqa: ANN401 — bqemulator's TableSchema, which is hashable
        """Move the rows of a table with this schema into the shared table, and make it a view."""
        place = self._store(schema, f"SELECT * FROM {name}")
        self.replace(name, place)
        return place

    def create(self, name: str, schema: Any, rows_sql: str) -> None:  # noqa: ANN401 — as above
        """Create a packed table with this schema of the rows of a SELECT in DuckDB's dialect."""
        self._show(name, self._store(schema, rows_sql))

    def _store(self, schema: Any, rows_sql: str) -> _Place:  # noqa: ANN401 — as above
        if not self._stores:
            self._execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        store = self._stores.get(schema)
        if store is None:
            store = self._stores[schema] = f"{SCHEMA}.rows_{len(self._stores)}"
            self._execute(f"CREATE TABLE {store} AS SELECT *, 0 AS _table FROM ({rows_sql}) LIMIT 0")
        self._count += 1
        columns = tuple(field.name for field in schema.fields)
        required = tuple(field.name for field in schema.fields if field.mode == "REQUIRED")
        self._execute(f"INSERT INTO {store} BY NAME SELECT *, {self._count} AS _table FROM ({rows_sql})")
        return _Place(store, self._count, columns, required)

    def replace(self, name: str, place: _Place) -> None:
        """Replace a table that has the same rows by a view of packed rows."""
        self._execute(f"DROP TABLE {name}")
        self._show(name, place)

    def _show(self, name: str, place: _Place) -> None:
        self._execute(f"CREATE VIEW {name} AS {place.select()}")
        self._places[name] = place

    def find(self, name: str) -> _Place | None:
        """Where a table's rows are, None when it is not packed."""
        return self._places.get(name)

    def hide(self, name: str) -> str:
        """Take a packed table away; a SELECT of its rows, which stay."""
        place = self._places.pop(name)
        self._execute(f"DROP VIEW {name}")
        return place.select()

    def unpack_changed(self, sql: str) -> None:
        """Make tables again of the packed tables that a statement in DuckDB's dialect is about to change or drop."""
        if self._places:
            for name in dict.fromkeys(match[1] for match in _CHANGE.finditer(sql)):
                if name in self._places:
                    self._unpack(name)

    def _unpack(self, name: str) -> None:
        place = self._places.pop(name)
        with contextlib.suppress(duckdb.CatalogException):  # it went with its dataset
            self._execute(f"DROP VIEW {name}")
            self._execute(f"CREATE TABLE {name} AS {place.select()}")
            for column in place.required:
                self._execute(f'ALTER TABLE {name} ALTER "{column}" SET NOT NULL')

    def selects(self, names: Sequence[str], columns: Sequence[str]) -> list[str]:
        """SELECTs of these columns that together give the rows of all tables: one for each shared table."""
        numbers: dict[str, list[str]] = {}
        for name in names:
            if (place := self._places.get(name)) is not None:
                numbers.setdefault(place.store, []).append(str(place.number))
        shared = [
            f"SELECT {_list(columns)} FROM {store} WHERE _table IN ({', '.join(of_store)})"
            for store, of_store in numbers.items()
        ]
        return shared + [f"SELECT {_list(columns)} FROM {name}" for name in names if name not in self._places]


def _list(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
