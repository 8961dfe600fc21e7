"""The write path on the in-memory BigQuery, for tests: rows staged for a batch, consolidated, and runs from start to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from services.batches import ids
from services.batches.ledger import Ledger, PlayerOutcome
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.pipeline.consolidator import ConsolidationResult, Consolidator
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.staging_writer import StagingWriter
from tests.support.memory_bigquery import Hook, MemoryProject, no_hook
from tests.support.memory_clients import (
    WORKER_HOST,
    AsgiApp,
    SimulatedClock,
    in_memory,
    memory_clients,
    memory_worker,
)
from tests.support.memory_rows import NIGHT, prediction_row

BATCH = f"batch_{NIGHT}_1767078000000"


@dataclass
class WritePath:
    """One project; `hook` is called at every boundary of the process under test, `answers` before the worker is asked."""

    clock: SimulatedClock = field(default_factory=SimulatedClock)
    hook: Hook = no_hook
    answers: list[int] = field(default_factory=list)  # statuses that the platform gives instead of the worker, in order
    asked: int = 0  # requests that reached the platform

    def __post_init__(self) -> None:
        self.project = MemoryProject(self.clock)
        self.clients = memory_clients(self.project, lambda *boundary: self.hook(*boundary))
        self.other_clients = memory_clients(self.project)  # those of another process, which meets no fault

    # --- what is there ------------------------------------------------------------------------------------------------

    def stage(self, player: str, *rows: Mapping[str, Any], batch: str = BATCH) -> str:
        """A unit's table with these rows as its changes to `prediction_row`, without a worker; its name."""
        table = ids.staging_table(batch, ids.work_unit_id(player))
        self.project.create_table(table, self.project.tables[PREDICTIONS_TABLE].fields)
        self.project.insert(table, [prediction_row(player, **row) for row in rows])
        return table

    def predictions(self, active: bool | None = True) -> list[dict[str, Any]]:
        """Rows of the predictions table, active or not; None: both."""
        rows = self.project.rows(PREDICTIONS_TABLE)
        return [row for row in rows if active is None or row["is_active"] is active]

    def staging_tables(self) -> list[str]:
        return sorted(name for name in self.project.tables if "._staging_" in name)

    def statements(self, kind: str) -> int:
        """How many statements of a kind were carried out without an error."""
        return sum(job.statement_type == kind and job.error is None for job in self.project.jobs.values())

    # --- what is done ---------------------------------------------------------------------------------------------------

    def writer(self) -> StagingWriter:
        return StagingWriter(BigQueryWarehouse(self.clients), self.clock.retry_policy())

    def consolidate(self, batch: str = BATCH, clients: Clients | None = None) -> ConsolidationResult:
        """By the process under test, or with the clients of another."""
        warehouse = BigQueryWarehouse(clients or self.clients)
        return Consolidator(warehouse, "test", self.clock.retry_policy()).consolidate(batch, NIGHT)

    def runner(self) -> BatchRunner:
        return BatchRunner(self.clients, self.clock.retry_policy())

    def outcomes(self, batch: str) -> dict[str, PlayerOutcome]:
        """Of a batch's players, as the ledger has them."""
        return Ledger(self.clients).player_outcomes(batch, NIGHT)

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it lasts the worker answers and waiting moves the clock."""
        worker = memory_worker(self.clients, self.clock.retry_policy())
        with in_memory(self.clock, {WORKER_HOST: self._platform_before(worker)}):
            yield
        self.project.close()

    def _platform_before(self, worker: AsgiApp) -> AsgiApp:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.asked += 1
            status = self.answers.pop(0) if self.answers else 0
            if not status:
                await worker(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"Rate exceeded."})

        return app


def once(call: str, phase: str, act: Callable[[Any], object]) -> Hook:
    """A hook that acts the first time that a call reaches a phase, with the call's subject."""
    left: Iterable[bool] = iter([True])

    def hook(reached: str, at: str, subject: Any) -> None:
        if (reached, at) == (call, phase) and next(iter(left), False):
            act(subject)

    return hook
