"""BigQuery's streaming buffer: rows of insertAll that queries see after a moment, and everything else much later.

Streamed rows lie in a side table. When queries may see them they are in the table as well; until they are stored, what does not
read the buffer (tabledata.list, numRows, copies) reads the table minus the side table.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.core.clock import Clock
from services.sandbox.bigquery.schema_changes import Field, mode, wire_type

_SCHEMA = "sandbox_streaming"
_MARKS = "_batch, _visible"


@dataclass(frozen=True)
class StreamingDelays:
    """Seconds on the sandbox clock after insertAll. BigQuery promises no more than "seconds" and "up to 90 minutes"."""

    visible_s: float = 2.0  # until queries see the rows
    reported_s: float = 10.0  # until tables.get has a streamingBuffer
    stored_s: float = 90 * 60.0  # until the rows are listed, counted, copied, and can be changed
    insert_id_s: float = 60.0  # for so long a repeated insertId is dropped


@dataclass
class _Batch:
    """The rows of one insertAll."""

    number: int
    table: str
    streamed_at_s: float
    rows: int
    size_bytes: int
    visible: bool = False


class StreamingBuffer:
    """The streamed rows of one project that are not stored yet; `execute` runs statements in DuckDB."""

    execute: Callable[[str], Awaitable[None]]

    def __init__(self, project: str, clock: Clock, delays: StreamingDelays) -> None:
        self._project, self._clock, self.delays = project, clock, delays
        self._batches: list[_Batch] = []
        self._insert_ids: dict[tuple[str, str], float] = {}
        self._side_tables: set[str] = set()
        self._changed_schemas: set[str] = set()
        self._count = 0
        self._lock = asyncio.Lock()

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _table_sql(self, table: str) -> str:
        dataset, _, name = table.rpartition(".")
        return f'"{self._project}__{dataset}"."{name}"'

    def has_rows(self, table: str) -> bool:
        """Whether rows of a table (dataset.table) are not stored yet."""
        return any(batch.table == table for batch in self._batches)

    async def add(
        self, table: str, fields: Sequence[Field], rows: Sequence[Mapping[str, Any]], insert_ids: Sequence[str]
    ) -> None:
        """Take over normalized rows, one insert id each (may be empty), except those whose id was used just now."""
        new_rows = [row for row, insert_id in zip(rows, insert_ids, strict=True) if self._is_new(table, insert_id)]
        if not new_rows:
            return
        async with self._lock:
            await self._follow_schemas()
            self._count += 1
            self._side_tables.add(table)
            text = json.dumps(new_rows)
            structure = json.dumps([{field["name"]: _json_structure(field) for field in fields}])
            await self.execute(
                f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA};"
                f' CREATE TABLE IF NOT EXISTS {_SCHEMA}."{table}" AS'
                f" SELECT *, 0 AS _batch, false AS _visible FROM {self._table_sql(table)} LIMIT 0;"
                f' INSERT INTO {_SCHEMA}."{table}" BY NAME SELECT *, {self._count} AS _batch, false AS _visible FROM'
                f" (SELECT unnest(json_transform({_quote(text)}, {_quote(structure)}), max_depth := 2))"
            )
            self._batches.append(_Batch(self._count, table, self._now_s(), len(new_rows), len(text)))

    def _is_new(self, table: str, insert_id: str) -> bool:
        now = self._now_s()
        self._insert_ids = {key: at for key, at in self._insert_ids.items() if now - at < self.delays.insert_id_s}
        if insert_id and (table, insert_id) in self._insert_ids:
            return False
        if insert_id:
            self._insert_ids[table, insert_id] = now
        return True

    async def advance(self) -> tuple[set[str], set[str]]:
        """Do what is due; returns the tables whose rows became visible to queries, and those whose rows became stored."""
        if not self._batches:
            return set(), set()
        async with self._lock:
            await self._follow_schemas()
            shown = [b for b in self._batches if not b.visible and self._age_s(b) >= self.delays.visible_s]
            stored = [b for b in self._batches if self._age_s(b) >= self.delays.stored_s]
            for table, numbers in _numbers_by_table(shown).items():
                side = f'{_SCHEMA}."{table}"'
                await self.execute(
                    f"INSERT INTO {self._table_sql(table)} BY NAME"
                    f" SELECT * EXCLUDE ({_MARKS}) FROM {side} WHERE _batch IN ({numbers});"
                    f" UPDATE {side} SET _visible = true WHERE _batch IN ({numbers})"
                )
            for batch in shown:
                batch.visible = True
            for table, numbers in _numbers_by_table(stored).items():
                await self.execute(f'DELETE FROM {_SCHEMA}."{table}" WHERE _batch IN ({numbers})')
            self._batches = [batch for batch in self._batches if batch not in stored]
        return {batch.table for batch in shown}, {batch.table for batch in stored}

    def _age_s(self, batch: _Batch) -> float:
        return self._now_s() - batch.streamed_at_s

    async def _follow_schemas(self) -> None:
        """Give each side table the columns that its table has meanwhile."""
        for table in self._changed_schemas:
            side = f'{_SCHEMA}."{table}"'
            await self.execute(
                f"CREATE OR REPLACE TABLE {side} AS"
                f" (SELECT *, 0 AS _batch, false AS _visible FROM {self._table_sql(table)} LIMIT 0)"
                f" UNION ALL BY NAME SELECT * FROM {side}"
            )
        self._changed_schemas.clear()

    def note_change(self, table: str) -> None:
        """The table was changed in some way, so its columns may be others."""
        if table in self._side_tables:
            self._changed_schemas.add(table)

    async def forget(self, tables: Iterable[str]) -> None:
        """Forget what was streamed into tables (dataset.table) that were dropped or emptied as a whole."""
        for table in self._side_tables.intersection(tables):
            async with self._lock:
                self._batches = [batch for batch in self._batches if batch.table != table]
                self._insert_ids = {key: at for key, at in self._insert_ids.items() if key[0] != table}
                await self.execute(f'DROP TABLE IF EXISTS {_SCHEMA}."{table}"')
                self._side_tables.discard(table)
                self._changed_schemas.discard(table)

    async def forget_dataset(self, dataset: str) -> None:
        """Forget what was streamed into the tables of a dataset that was dropped."""
        await self.forget([table for table in self._side_tables if table.rpartition(".")[0] == dataset])

    def stored_rows_sql(self, table: str, columns: Sequence[str], where: str = "true") -> str:
        """A SELECT of these columns of the stored rows, in DuckDB's dialect; `where` is a condition in it."""
        names = ", ".join(f'"{column}"' for column in columns) or "*"
        base = f"SELECT {names} FROM {self._table_sql(table)} WHERE {where}"
        if not any(batch.table == table and batch.visible for batch in self._batches):
            return base
        return f'{base} EXCEPT ALL SELECT {names} FROM {_SCHEMA}."{table}" WHERE _visible AND {where}'

    def describe(self, table: str) -> dict[str, str] | None:
        """The streamingBuffer of tables.get: what has been in the buffer long enough to be reported; None without."""
        reported = [b for b in self._batches if b.table == table and self._age_s(b) >= self.delays.reported_s]
        if not reported:
            return None
        return {
            "estimatedRows": str(sum(batch.rows for batch in reported)),
            "estimatedBytes": str(sum(batch.size_bytes for batch in reported)),
            "oldestEntryTime": str(int(min(batch.streamed_at_s for batch in reported) * 1000)),
        }


def _numbers_by_table(batches: Iterable[_Batch]) -> dict[str, str]:
    numbers: dict[str, list[str]] = {}
    for batch in batches:
        numbers.setdefault(batch.table, []).append(str(batch.number))
    return {table: ", ".join(of_table) for table, of_table in numbers.items()}


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _json_structure(field: Field) -> object:
    """The structure that DuckDB's json_transform reads a field with."""
    from bqemulator.storage.type_map import bq_to_duckdb

    kind = wire_type(field)
    value: object = (
        {inner["name"]: _json_structure(inner) for inner in field["fields"]} if kind == "RECORD" else bq_to_duckdb(kind)
    )
    return [value] if mode(field) == "REPEATED" else value
