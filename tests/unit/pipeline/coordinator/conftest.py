"""A coordinator and a worker in one process, on the in-memory BigQuery, for three players of one game date."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from services.batches.ledger import BatchRecord, Ledger
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.pipeline.coordinator import dispatcher
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.resume import Activation
from services.pipeline.coordinator.run_request import Run, plan_run
from tests.support.memory_bigquery import Hook, MemoryProject, no_hook
from tests.support.memory_clients import WORKER_HOST, AsgiApp, SimulatedClock, in_memory, memory_clients, memory_worker
from tests.support.memory_rows import NIGHT, context_rows

CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"
PLAYERS = ("ann", "bob", "cid")
ROWS_PER_PLAYER = 25


def _do_nothing(_player: str) -> None:
    """No player is special."""


@dataclass
class Workers:
    """The workers: `before` is called with each player who is asked; those of `away` never answer, and those of `mute` answer in vain."""

    app: AsgiApp
    asked: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    before: Callable[[str], None] = _do_nothing

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        player = next(name for name in PLAYERS if f'"{name}"'.encode() in message["body"])
        if player not in self.asked:
            self.before(player)
        self.asked.append(player)

        async def receive_again() -> Any:
            return message

        async def send_nothing(_: Any) -> None:
            return None

        if player not in self.away:
            await self.app(scope, receive_again, send_nothing if player in self.mute else send)
        if player in self.away | self.mute:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b"no instance"})

    @property
    def asked_once(self) -> list[str]:
        """The players who were asked, each once, in order."""
        return list(dict.fromkeys(self.asked))


@dataclass
class Night:
    """A game date: its project, and as many coordinators as a test opens."""

    project: MemoryProject
    clock: SimulatedClock
    workers: Workers

    def clients(self, hook: Hook = no_hook) -> Clients:
        return memory_clients(self.project, hook)

    def runner(self, hook: Hook = no_hook, name: str = "coordinator-a") -> BatchRunner:
        runner = BatchRunner(self.clients(hook), self.clock.retry_policy())
        runner.instance_id = name
        return runner

    def plan(self) -> Run:
        self.clock.at += timedelta(seconds=1)  # a batch id is its start in milliseconds
        run = plan_run(self.clients(), NIGHT, started_by="test")
        assert run is not None
        return run

    def requested(self, runner: BatchRunner | None = None) -> Activation:
        return (runner or self.runner()).record_requested(self.plan())

    def record(self, batch_id: str) -> BatchRecord:
        record = Ledger(self.clients()).latest(batch_id, NIGHT)
        assert record is not None
        return record

    def states(self, batch_id: str) -> list[str]:
        rows = [row for row in self.project.rows("prediction_on_call.batches") if row["batch_id"] == batch_id]
        rows.sort(key=lambda row: row["sequence"])
        assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["state"] for row in rows]

    def active_players(self) -> dict[str, int]:
        rows = [row for row in self.project.rows(PREDICTIONS_TABLE) if row["is_active"]]
        return {name: sum(row["player_lookup"] == name for row in rows) for name in {r["player_lookup"] for r in rows}}

    def outcomes(self, batch_id: str) -> dict[str, str]:
        recorded = Ledger(self.clients()).player_outcomes(batch_id, NIGHT)
        return {name: outcome.outcome for name, outcome in recorded.items()}

    def staging_tables(self) -> list[str]:
        return [name for name in self.project.tables if "_staging_" in name or "compact" in name]

    def details(self, batch_id: str) -> Any:
        return json.loads(json.dumps(self.record(batch_id).details))


@pytest.fixture
def night() -> Iterator[Night]:
    clock = SimulatedClock()
    project = MemoryProject(clock)
    project.insert(CONTEXT_TABLE, context_rows(PLAYERS))
    workers = Workers(memory_worker(memory_clients(project), clock.retry_policy()))
    with in_memory(clock, {WORKER_HOST: workers}):
        yield Night(project, clock, workers)
    project.close()


@pytest.fixture
def one_player_per_unit(monkeypatch):
    """Each player in a unit of his own, for tests of what happens to a single one."""
    monkeypatch.setattr(dispatcher, "MAX_UNIT_PLAYERS", 1)
