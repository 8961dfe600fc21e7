"""A night in the in-memory BigQuery: rows are staged and consolidated by the real MERGE, without HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField

from services.batches.ids import staging_table
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.consolidator import ConsolidationResult, Consolidator
from services.pipeline.merge import CONTEXT_TABLE
from services.pipeline.rate_limiter import RateLimiter
from services.pipeline.warehouse import BigQueryWarehouse
from tests.support.memory_bigquery import Hook, MemoryProject, no_hook
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients
from tests.support.memory_rows import NIGHT, context_rows, prediction_row

BATCH = "batch_2025-12-29_1767078000000"
Row = Mapping[str, Any]


def made(minute: int) -> datetime:
    """When a row was made: minutes after the evening's first run."""
    return datetime(2025, 12, 29, 18, tzinfo=UTC) + timedelta(minutes=minute)


def row(player: str, minute: int, **changes: Any) -> dict[str, Any]:
    """A prediction made at that minute; its id says so."""
    defaults: dict[str, Any] = {"prediction_id": f"{player}-{minute}", "created_at": made(minute)}
    return prediction_row(player, **{**defaults, **changes})


@dataclass
class Night:
    """The project's tables, and what can be done to them."""

    project: MemoryProject

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    def insert(self, *rows: Row) -> None:
        """Put rows into the predictions table."""
        self.project.insert(PREDICTIONS_TABLE, rows)

    def stage(self, *rows: Row, batch: str = BATCH, unit: str = "p_unit") -> str:
        """Put rows into a staging table; its name."""
        name = staging_table(batch, unit)
        if name not in self.project.tables:
            self.project.create_table(name, self.fields)
        self.project.insert(name, rows)
        return name

    def consolidator(self, hook: Hook = no_hook, **options: Any) -> Consolidator:
        """A process's consolidator; options are those of its class."""
        at_once = RateLimiter(sleep=lambda _: None)  # so that the clock moves only when a test says so
        warehouse = BigQueryWarehouse(memory_clients(self.project, hook), at_once)
        retry = self.clock.retry_policy()
        return Consolidator(warehouse, "test", **{"retry": retry, **options})

    def consolidate(self, batch: str = BATCH, game_date: date = NIGHT, hook: Hook = no_hook) -> ConsolidationResult:
        """Consolidate a batch."""
        return self.consolidator(hook).consolidate(batch, game_date)

    def merge(self, *rows: Row, batch: str = BATCH) -> ConsolidationResult:
        """Stage rows of a batch and consolidate it."""
        self.stage(*rows, batch=batch)
        return self.consolidate(batch)

    def predictions(self, *columns: str) -> list[Any]:
        """The predictions in order of their ids: (prediction_id, is_active), or other columns."""
        rows = self.project.rows(PREDICTIONS_TABLE)
        wanted = columns or ("prediction_id", "is_active")
        return sorted((tuple(r[column] for column in wanted) for r in rows), key=repr)

    def tables(self, prefix: str = "") -> list[str]:
        """Names of the tables beside the predictions that begin with a prefix, without their dataset."""
        names = [name.partition(".")[2] for name in self.project.tables if name.startswith("nba_predictions.")]
        return [name for name in names if name.startswith(prefix or ("_staging_", "oncall_"))]

    @property
    def fields(self) -> list[SchemaField]:
        """The columns of the predictions table."""
        return list(self.project.tables[PREDICTIONS_TABLE].fields)

    @property
    def clock(self) -> SimulatedClock:
        clock = self.project.clock
        assert isinstance(clock, SimulatedClock)
        return clock


@pytest.fixture
def night() -> Iterator[Night]:
    clock = SimulatedClock()
    project = MemoryProject(clock)
    project.insert(CONTEXT_TABLE, context_rows(["ann", "bob"]))
    with in_memory(clock, {}):
        yield Night(project)
    project.close()
