"""Dropped tables, kept as BigQuery's time travel keeps them: while the week lasts, `table@ms` can still be copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from services.core.clock import Clock
from services.sandbox.bigquery.emulator import Emulator

Resource = dict[str, Any]
WEEK_MS = 7 * 24 * 3_600_000


@dataclass(frozen=True)
class Kept:
    """One dropped table: what tables.get said of it, where its rows are, when it was dropped."""

    resource: Resource
    hidden: str
    dropped_ms: int


class Attic:
    """Where dropped tables go. Renaming is instant, so that clearing 158 tables costs a run nothing."""

    def __init__(self, emulator: Emulator, http: httpx.AsyncClient, project: str, clock: Clock) -> None:
        self._emulator, self._http, self._project, self._clock = emulator, http, project, clock
        self._kept: dict[tuple[str, str], list[Kept]] = {}

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    async def keep(self, dataset: str, table: str) -> None:
        """Put a table's rows away before it is dropped; nothing happens when there is no such table."""
        answer = await self._http.get(f"/bigquery/v2/projects/{self._project}/datasets/{dataset}/tables/{table}")
        if answer.is_error:
            return
        history = self._kept.setdefault((dataset, table), [])
        hidden = f"dropped_{len(history)}_{table}"
        await self._emulator.execute(f'ALTER TABLE {self._place(dataset, table)} RENAME TO "{hidden}"')
        history.append(Kept(answer.json(), hidden, self._now_ms()))

    def find(self, dataset: str, decorated: str) -> Kept | None:
        """The table that `name@ms` means, if it was dropped since that instant and within the week."""
        table, _, ms = decorated.partition("@")
        if not ms.isdigit() or self._now_ms() - int(ms) > WEEK_MS:
            return None
        after = [kept for kept in self._kept.get((dataset, table), []) if kept.dropped_ms >= int(ms)]
        return next((kept for kept in after if int(kept.resource.get("creationTime") or 0) <= int(ms)), None)

    async def pour(self, dataset: str, kept: Kept, target: Resource) -> None:
        """The rows of a dropped table into an empty one of the same columns."""
        into = self._place(target["datasetId"], target["tableId"])
        await self._emulator.execute(f"INSERT INTO {into} SELECT * FROM {self._place(dataset, kept.hidden)}")

    def _place(self, dataset: str, table: str) -> str:
        return f'"{self._project}__{dataset}"."{table}"'
