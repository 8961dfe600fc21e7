"""Seeded runs of a whole batch under faults: deliver, crash, redeliver, consolidate, crash, resume; then count what was lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from google.api_core.exceptions import GoogleAPICallError

from services.batches.business_key import business_key
from services.batches.ids import is_unit_table, staging_prefix, work_unit_id
from services.core.errors import OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.retry import RetryPolicy
from services.pipeline.consolidator import Consolidator, duplicate_active_keys
from services.pipeline.lease import LEASE_TTL
from services.pipeline.worker.staging_writer import StagingWriter
from tests.faults.fake_warehouse import (
    FAULTS,
    FakeWarehouse,
    ProcessKilled,
    Row,
    WarehouseState,
    plan_merge,
    raise_fault,
)

NIGHT = date(2025, 12, 29)
BATCH = "batch_2025-12-29_1767077100000"
PLAYERS = tuple(f"player{letter}" for letter in "abcdef")
MAX_PROCESS_RESTARTS = 40  # how often a process may die before the run is called stuck


@dataclass
class Outcome:
    """How one run ended: rows that should be there and are not, keys active twice, the state, and the faults it met."""

    lost: int
    doubled: int
    state: str
    merges: int
    faults: Counter[str] = field(default_factory=Counter)


def make_rows(player: str, version: int = 1) -> list[Row]:
    """Four predictions of one player; a later version predicts other points."""
    return [
        {
            "prediction_id": f"{player}-{system}-{line}-{version}",
            "game_date": NIGHT,
            "game_id": "20251229_AAA_BBB",
            "player_lookup": player,
            "system_id": system,
            "current_points_line": line,
            "predicted_points": Decimal(20 + version),
            "is_active": True,
            "created_at": f"2025-12-30T0{version}:00:00+00:00",
        }
        for system in ("one", "two")
        for line in (Decimal("20.5"), None)
    ]


@dataclass
class FaultInjector:
    """Faults at step boundaries, drawn from a seed; at most `limit`, so that every run can end."""

    store: WarehouseState
    rng: random.Random
    rate: float
    limit: int = 12
    injected: Counter[str] = field(default_factory=Counter)
    dead: bool = False

    def __call__(self, step: str, phase: str) -> None:
        if self.dead:  # a killed process does nothing more, not even in its finally
            raise ProcessKilled
        self.store.now += timedelta(milliseconds=200)
        if sum(self.injected.values()) < self.limit and self.rng.random() < self.rate:
            fault = self.rng.choice(FAULTS)
            self.injected[fault] += 1
            self.dead = fault == "killed"
            raise_fault(self.store, fault, step, phase)


def simulated_retry_policy(store: WarehouseState, rng: random.Random) -> RetryPolicy:
    """The real back-off, waiting on the simulated clock."""

    def sleep(seconds: float) -> None:
        store.now += timedelta(seconds=seconds)

    return RetryPolicy(sleep=sleep, rng=rng.random)


def run_staged_path(seed: int, rate: float = 0.06) -> Outcome:
    """Our write path: stage each unit, acknowledge what is verified, consolidate; a process that dies is restarted."""
    rng, store = random.Random(seed), WarehouseState()
    store.predictions = [row for player in PLAYERS[:2] for row in make_rows(player, version=0)]
    chaos = FaultInjector(store, rng, rate)
    retry = simulated_retry_policy(store, rng)
    warehouse = FakeWarehouse(store, chaos)
    acknowledged: set[str] = set()
    state = "stalled"
    for _ in range(MAX_PROCESS_RESTARTS):
        chaos.dead = False
        try:
            for player in _pending_deliveries(rng, acknowledged):
                StagingWriter(warehouse, retry).write(BATCH, work_unit_id(player), make_rows(player))
                acknowledged.add(player)
            Consolidator(warehouse, "coordinator", retry, drop_threads=1).consolidate(BATCH, NIGHT)
            _deliver_late(warehouse, retry, rng)
            if _has_unmerged_tables(store):
                Consolidator(warehouse, "coordinator", retry, drop_threads=1).consolidate(BATCH, NIGHT)
            state = "consolidated"
            break
        except ProcessKilled:
            state = "stalled"
        except (OnCallError, GoogleAPICallError, ConnectionError) as error:
            if type(error).__name__ == "NothingStaged" and len(acknowledged) == len(PLAYERS):
                state = "consolidated"
                break
            state = "consolidation failed"
        store.now += LEASE_TTL  # an operator resumes
    return _count_outcome(store, PLAYERS, state, chaos)


def _pending_deliveries(rng: random.Random, acknowledged: set[str]) -> list[str]:
    """What is not acknowledged yet, in any order, some of it twice."""
    pending = [player for player in PLAYERS if player not in acknowledged]
    pending += [player for player in pending if rng.random() < 0.2]
    rng.shuffle(pending)
    return pending


def _deliver_late(warehouse: FakeWarehouse, retry: RetryPolicy, rng: random.Random) -> None:
    """A delivery that arrives after the consolidation: the queue hands out at least once."""
    if rng.random() < 0.3:
        player = rng.choice(PLAYERS)
        StagingWriter(warehouse, retry).write(BATCH, work_unit_id(player), make_rows(player))


def _has_unmerged_tables(store: WarehouseState) -> bool:
    return any(
        is_unit_table(table, BATCH) for table in store.tables if table.split(".")[-1].startswith(staging_prefix(BATCH))
    )


def run_direct_path(seed: int, rate: float = 0.06) -> Outcome:
    """The old way: each worker MERGEs its own rows, and its status says success whatever became of it."""
    rng, store = random.Random(seed), WarehouseState()
    chaos = FaultInjector(store, rng, rate)
    outstanding = 0
    for player in PLAYERS:
        outstanding = max(0, outstanding + rng.choice((-1, 1, 1, 2)))
        try:
            chaos("merge", "before")
            if outstanding > 4:  # the queue of this small table is full
                raise ConnectionError("Too many DML statements outstanding")
            for old, new in [(None, row) for row in make_rows(player)]:
                assert old is None
                store.predictions.append(dict(new))
            chaos("merge", "after")
        except (ProcessKilled, GoogleAPICallError, ConnectionError):
            continue
    return _count_outcome(store, PLAYERS, "reported success", chaos)


def run_early_response_path(seed: int, rate: float = 0.06) -> Outcome:
    """Staging as first deployed: the worker answers before its write is verified, and nothing retries."""
    rng, store = random.Random(seed), WarehouseState()
    chaos = FaultInjector(store, rng, rate)
    warehouse = FakeWarehouse(store, chaos)
    for player in PLAYERS:
        try:
            StagingWriter(warehouse, RetryPolicy(retries=0)).write(BATCH, work_unit_id(player), make_rows(player))
        except (ProcessKilled, OnCallError, GoogleAPICallError, ConnectionError):
            continue
    staged = [row for rows, _ in store.tables.values() for row in rows]
    insert, _, _ = plan_merge(store.predictions, staged, NIGHT)
    store.predictions.extend(insert)
    return _count_outcome(store, PLAYERS, "reported success", chaos)


def _count_outcome(store: WarehouseState, players: tuple[str, ...], state: str, chaos: FaultInjector) -> Outcome:
    points_by_key: dict = {}
    for row in store.predictions:
        if row["is_active"]:
            points_by_key.setdefault(business_key(row), []).append(str(row["predicted_points"]))
    expected_points = {
        business_key(row): str(row["predicted_points"]) for player in players for row in make_rows(player)
    }
    lost = sum(points not in points_by_key.get(k, []) for k, points in expected_points.items())
    keys = FakeWarehouse(store).read_keys(PREDICTIONS_TABLE, NIGHT)
    return Outcome(lost, len(duplicate_active_keys(keys)), state, store.commits, chaos.injected)


def survey(path: Callable[[int], Outcome], seeds: range) -> tuple[int, int, Counter[str], Counter[str]]:
    """(rows lost, keys doubled, end states, faults met) over many seeds."""
    lost = doubled = 0
    states: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for seed in seeds:
        outcome = path(seed)
        lost += outcome.lost
        doubled += outcome.doubled
        states[outcome.state] += 1
        faults += outcome.faults
    return lost, doubled, states, faults
