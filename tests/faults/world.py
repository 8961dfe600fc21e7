"""One simulated platform: the production coordinator, workers and consolidator as processes that can die, on one project."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Literal
from unittest.mock import patch

import requests
from google.api_core.exceptions import GoogleAPICallError
from greenlet import getcurrent

from services.batches.conservation import is_conserved
from services.batches.ledger import BatchRecord, Ledger, PlayerOutcome
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator import dispatcher, http_api
from services.pipeline.coordinator.batch_runner import BatchRunner
from tests.faults.judge import Delivery, Verdict, judge
from tests.faults.seeds import (
    NIGHT,
    OLD_BATCH_AT,
    PLAYERS,
    Kind,
    Row,
    SeededPredictor,
    old_batch_rows,
    seed_project,
)
from tests.support.memory_bigquery import MemoryProject, Phase
from tests.support.memory_clients import (
    COORDINATOR_HOST,
    WORKER_HOST,
    Answer,
    AsgiApp,
    SimulatedClock,
    call_app,
    in_memory,
    memory_clients,
    memory_worker,
)

STEP = timedelta(milliseconds=200)  # what a call takes


class ProcessKilled(BaseException):
    """A process died here. Not an Exception: no handler of the code under test may survive it."""


@dataclass(eq=False)
class Process:
    """One process of the platform; when it has died, whatever it still tries fails."""

    name: str
    skew: timedelta = timedelta(0)
    dead: bool = False


Boundary = tuple[Process, str, Phase, Any]  # who, which call, before, in or after it, and what it is about
Injector = Callable[["World", Boundary], None]


def no_faults(_world: World, _boundary: Boundary) -> None:
    """Nothing goes wrong."""


@dataclass(frozen=True)
class BadPlayer:
    """A player who cannot be staged, whoever is in his unit: the predictor raises for him, or BigQuery refuses his rows."""

    name: str
    outcome: Literal["not generated", "write rejected"]
    cause: str


BAD_PLAYERS = (  # neither has duplicates, which a MERGE supersedes whoever is staged
    BadPlayer(PLAYERS[0], "not generated", "predictor_error: ZeroDivisionError"),
    BadPlayer(PLAYERS[2], "write rejected", "too many errors"),
)


@dataclass(eq=False)
class World:
    """The platform of one run. `injector` is called at every boundary of every process."""

    kinds: frozenset[Kind]
    injector: Injector = no_faults
    rng: Callable[[], float] = lambda: 0.5
    unit_players: int = 1  # at most, of one request and staging table
    bad_player: BadPlayer | None = None
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    deliveries: list[Delivery] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)  # the bodies that workers have received
    coordinators: list[tuple[Process, Any]] = field(default_factory=list)  # with the greenlet that each runs in
    started_runs: dict[Any, list[Callable[[], object]]] = field(default_factory=dict)
    accepted: list[tuple[Process, Callable[[], object]]] = field(default_factory=list)  # runs of a watchdog's requests
    watchdog: Process | None = None  # that checks now

    def __post_init__(self) -> None:
        self.project = MemoryProject(self.clock)
        seed_project(self.project, self.kinds)
        if self.bad_player is not None and self.bad_player.outcome == "write rejected":
            self.project.refuse_row = lambda row: self._is_bad(row["player_lookup"])
        self.before = self.project.rows(PREDICTIONS_TABLE)
        staged = old_batch_rows(self.project)
        if staged:
            self.deliveries.append(Delivery(staged, OLD_BATCH_AT, acknowledged=True))
        self.tables_before = {name for name in self.project.tables if "_staging_" not in name}
        self.buffer_until = self.clock.at + timedelta(minutes=30)

    # --- processes ------------------------------------------------------------------------------------------------------

    def clients(self, process: Process) -> Any:
        """The clients of a process, each call of which is a boundary."""

        def hook(call: str, phase: Phase, subject: Any) -> None:
            self.reach((process, call, phase, subject))

        return memory_clients(self.project, hook, self.clock.skewed(process.skew))

    def reach(self, boundary: Boundary) -> None:
        """A process comes to a boundary: time passes, and something may happen."""
        if boundary[0].dead:
            raise ProcessKilled
        self.clock.at += STEP
        if self.clock.at > self.buffer_until:
            self._empty_buffers()
        self.injector(self, boundary)

    def retry_policy(self) -> RetryPolicy:
        return self.clock.retry_policy(self.rng)

    def _empty_buffers(self) -> None:
        for table in self.project.tables.values():
            if table.buffered:
                rows, table.buffered = [*table.rows, *table.buffered], []
                table.set_rows(rows, self.clock.at)

    # --- the coordinator --------------------------------------------------------------------------------------------------

    def post(self, process: Process, path: str, body: Mapping[str, Any]) -> int:
        """A request to a coordinator, and the run that it starts, to its end; the HTTP status. Raises ProcessKilled."""
        with self._serving(process) as app:
            status, _, _ = call_app(app, "POST", f"http://{COORDINATOR_HOST}{path}", json.dumps(body).encode())
            while runs := self.started_runs.pop(getcurrent(), None):
                for run in runs:
                    run()
        return status

    def coordinator_app(self) -> AsgiApp:
        """The coordinator behind its address, for a watchdog: every request is taken by a new process, whose run is `accepted`."""

        def take(scope: Any, body: bytes) -> Answer:
            process = Process("coordinator")
            try:
                with self._serving(process) as app:
                    answer = call_app(app, scope["method"], f"http://{COORDINATOR_HOST}{scope['path']}", body)
                    self.accepted += [(process, run) for run in self.started_runs.pop(getcurrent(), [])]
            except ProcessKilled:
                raise requests.ConnectionError("The connection was reset.") from None
            return answer

        return self._behind_http("coordinator", lambda: self.watchdog, take)

    def run_accepted(self) -> None:
        """Carry out what coordinators have accepted, each to its end or its process's death."""
        while self.accepted:
            process, run = self.accepted.pop(0)
            with suppress(ProcessKilled), self._serving(process):
                run()

    @contextmanager
    def _serving(self, process: Process) -> Iterator[AsgiApp]:
        """The coordinator's application, of a process that runs while the block lasts."""
        clients = self.clients(process)
        runner = BatchRunner(clients, self.retry_policy())
        coordinator = process, getcurrent()
        self.coordinators.append(coordinator)
        try:
            yield http_api.create_app(http_api.CoordinatorApi(clients, runner), local=False)
        finally:
            self.coordinators.remove(coordinator)

    def start_thread(self, target: Callable[..., object], args: tuple[object, ...] = (), **_: object) -> Any:
        """What a request starts in a thread is done after its answer, by the same process."""
        runs = self.started_runs.setdefault(getcurrent(), [])
        return SimpleNamespace(start=lambda: runs.append(lambda: target(*args)))

    @property
    def coordinator(self) -> Process | None:
        """The coordinator process that runs now."""
        current = getcurrent()
        return next((process for process, where in reversed(self.coordinators) if where is current), None)

    def records(self) -> list[BatchRecord]:
        """The newest record of each batch in the ledger, the last recorded one last, read past every fault."""
        newest: dict[str, tuple[int, int]] = {}
        for position, row in enumerate(self.project.rows("prediction_on_call.batches")):
            newest[row["batch_id"]] = max(newest.get(row["batch_id"], (0, 0)), (row["sequence"], position))
        ledger = Ledger(memory_clients(self.project))
        batch_ids = sorted(newest, key=lambda batch_id: newest[batch_id][1])
        return [record for batch_id in batch_ids if (record := ledger.latest(batch_id, NIGHT)) is not None]

    # --- workers ----------------------------------------------------------------------------------------------------------

    def worker_app(self) -> AsgiApp:
        """The workers behind one address: every request is taken by a new process."""

        def take(_scope: Any, body: bytes) -> Answer:
            self.requests.append(body)
            return self.deliver(body)

        return self._behind_http("predict", lambda: self.coordinator, take)

    def _behind_http(
        self, call: str, find_caller: Callable[[], Process | None], take: Callable[[Any, bytes], Answer]
    ) -> AsgiApp:
        """An application that gives the answers of `take`; the request and its answer are boundaries of who calls."""

        async def respond(scope: Any, receive: Any, send: Any) -> None:
            body, caller = (await receive())["body"], find_caller()

            def reach(phase: Phase) -> None:
                if caller is not None:
                    self.reach((caller, call, phase, body))

            try:
                reach("before")
                status, headers, content = take(scope, body)
                reach("after")
            except GoogleAPICallError as error:  # Cloud Run's own refusal
                status, headers, content = int(error.code or 500), {}, str(error).encode()
            start = {"type": "http.response.start", "status": status}
            await send({**start, "headers": [(k.encode(), v.encode()) for k, v in headers.items()]})
            await send({"type": "http.response.body", "body": content})

        return respond

    def deliver(self, body: bytes) -> Answer:
        """One delivery of a request to a worker; ConnectionError when the worker dies of it."""
        process = Process("worker", self.coordinator.skew if self.coordinator else timedelta(0))
        clients, predictor = self.clients(process), SeededPredictor(self.kinds)
        made: list[Delivery] = []

        def predict(request: Any, at: Any) -> list[Row]:
            if not self._is_bad(request.player_lookup):
                rows = predictor.predict(request, at)
                made.append(Delivery([dict(row) for row in rows], at))
                return rows
            if self.project.refuse_row({"player_lookup": request.player_lookup}):
                return predictor.predict(request, at)
            raise ZeroDivisionError

        app = memory_worker(clients, self.retry_policy(), SimpleNamespace(predict=predict))
        try:
            status, headers, content = call_app(app, "POST", f"http://{WORKER_HOST}/predict", body)
        except ProcessKilled:
            raise requests.ConnectionError("The connection was reset.") from None
        finally:
            self.deliveries += made
        staged = set(_staged_players(json.loads(content)))
        for delivery in made:
            delivery.acknowledged = {row["player_lookup"] for row in delivery.rows} <= staged
        return status, headers, content

    def _is_bad(self, player_lookup: str) -> bool:
        return self.bad_player is not None and self.bad_player.name == player_lookup

    # --- the end ------------------------------------------------------------------------------------------------------------

    def verdict(self, asked: Iterable[str] = PLAYERS) -> Verdict:
        """What is wrong with the rows now; each player who was asked must have been predicted, and `judge` finds his rows whole.

        Whether a worker acknowledged them does not matter: a worker may die after it has staged, and the coordinator finds the table.
        """
        verdict = judge(self.project, self.before, self.deliveries, self.tables_before)
        predicted = {row["player_lookup"] for delivery in self.deliveries for row in delivery.rows}
        verdict.lost += sum(player not in predicted and not self._is_bad(player) for player in asked)
        return verdict

    def false_records(self) -> int:
        """Batches that are in no state that ends a run, and the last to end when its sums do not hold; 1 when there is none."""
        records = self.records()
        if not records:
            return 1
        unfinished = sum(record.state.value != "consolidated" for record in records)
        return unfinished or self._false_numbers(records[-1])

    def _false_numbers(self, record: BatchRecord) -> int:
        """Of a batch that has ended: whether its sums do not hold, and players who are not recorded as staged, or with the cause."""
        outcomes = Ledger(memory_clients(self.project)).player_outcomes(record.batch_id, NIGHT)
        return (not is_conserved(record)) + sum(not self._is_true(outcomes.get(player)) for player in PLAYERS)

    def _is_true(self, outcome: PlayerOutcome | None) -> bool:
        if outcome is None or self.bad_player is None or not self._is_bad(outcome.player_lookup):
            return outcome is not None and outcome.outcome == "staged"
        said = f"{outcome.reason} {outcome.message}"
        return outcome.outcome == self.bad_player.outcome and self.bad_player.cause in said

    def unfinished_actions(self) -> int:
        """Actions that were begun and of which no outcome is recorded."""
        rows = self.project.rows("prediction_on_call.actions")
        return len({row["action_id"] for row in rows} - {row["action_id"] for row in rows if row["event"] == "outcome"})


def _staged_players(payload: Any) -> Iterator[str]:
    """Every player whom an answer calls staged, however deep in it."""
    if isinstance(payload, list):
        for item in payload:
            yield from _staged_players(item)
    elif isinstance(payload, dict):
        if payload.get("outcome") == "staged":
            yield payload["player_lookup"]
        for value in payload.values():
            yield from _staged_players(value)


@contextmanager
def open_world(kinds: Iterable[Kind], injector: Injector = no_faults, **options: Any) -> Iterator[World]:
    """A platform whose workers answer and whose time is simulated, while the block lasts."""
    world = World(frozenset(kinds), injector, **options)
    try:
        threads = SimpleNamespace(Thread=world.start_thread, Lock=threading.Lock)
        apps = {WORKER_HOST: world.worker_app(), COORDINATOR_HOST: world.coordinator_app()}
        with (
            in_memory(world.clock, apps),
            patch.object(http_api, "threading", threads),
            patch.object(dispatcher, "MAX_UNIT_PLAYERS", world.unit_players),
        ):
            yield world
    finally:
        world.project.close()
