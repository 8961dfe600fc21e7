"""Dropped tables within BigQuery's time-travel window of 7 days, during which `table@ms` can still be copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from services.core.clock import Clock
from services.sandbox.bigquery.emulator import Emulator

Resource = dict[str, Any]
TIME_TRAVEL_WINDOW_MS = 7 * 24 * 3_600_000


@dataclass(frozen=True)
class DroppedTable:
    """One dropped table: its tables.get resource, the hidden table that holds its rows, and when it was dropped."""

    resource: Resource
    hidden_name: str
    dropped_ms: int


class DroppedTableStore:
    """Keeps dropped tables by renaming them, which is instant, so that dropping 158 tables does not slow a run down."""

    def __init__(self, emulator: Emulator, http: httpx.AsyncClient, project: str, clock: Clock) -> None:
        self._emulator, self._http, self._project, self._clock = emulator, http, project, clock
        self._dropped: dict[tuple[str, str], list[DroppedTable]] = {}

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    async def store(self, dataset: str, table: str) -> None:
        """Hide a table's rows before it is dropped; no-op when there is no such table."""
        response = await self._http.get(f"/bigquery/v2/projects/{self._project}/datasets/{dataset}/tables/{table}")
        if response.is_error:
            return
        history = self._dropped.setdefault((dataset, table), [])
        hidden_name = f"dropped_{len(history)}_{table}"
        await self._emulator.execute(f'ALTER TABLE {self._physical_name(dataset, table)} RENAME TO "{hidden_name}"')
        history.append(DroppedTable(response.json(), hidden_name, self._now_ms()))

    def find(self, dataset: str, decorated: str) -> DroppedTable | None:
        """The dropped table that `name@ms` refers to, if it existed at that time and that is within the window."""
        table, _, ms = decorated.partition("@")
        if not ms.isdigit() or self._now_ms() - int(ms) > TIME_TRAVEL_WINDOW_MS:
            return None
        candidates = [dropped for dropped in self._dropped.get((dataset, table), []) if dropped.dropped_ms >= int(ms)]
        return next(
            (dropped for dropped in candidates if int(dropped.resource.get("creationTime") or 0) <= int(ms)), None
        )

    async def restore_rows(self, dataset: str, dropped: DroppedTable, target: Resource) -> None:
        """Copy the rows of a dropped table into an empty table with the same columns."""
        target_name = self._physical_name(target["datasetId"], target["tableId"])
        await self._emulator.execute(
            f"INSERT INTO {target_name} SELECT * FROM {self._physical_name(dataset, dropped.hidden_name)}"
        )

    def _physical_name(self, dataset: str, table: str) -> str:
        return f'"{self._project}__{dataset}"."{table}"'
