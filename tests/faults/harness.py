"""Seeded runs of a whole batch under trouble: deliver, crash, redeliver, consolidate, crash, resume; then count what was lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from google.api_core.exceptions import GoogleAPICallError

from services.batches.business_key import key
from services.batches.ids import PREDICTIONS, is_unit_table, staging_prefix, unit
from services.core.errors import OnCallError
from services.gcp.retry import Policy
from services.pipeline.consolidator import Consolidator, active_twice
from services.pipeline.lease import LEASE_LIFE
from services.pipeline.worker.staging_writer import StagingWriter
from tests.faults.simulated import FAULTS, Killed, Row, SimulatedWarehouse, World, plan_merge, raise_fault

NIGHT = date(2025, 12, 29)
BATCH = "batch_2025-12-29_1767077100000"
PLAYERS = tuple(f"player{letter}" for letter in "abcdef")
LIVES = 40  # how often a process may die before the run is called stuck


@dataclass
class Outcome:
    """How one run ended: rows that should be there and are not, keys active twice, the state, and the faults it met."""

    lost: int
    doubled: int
    state: str
    merges: int
    faults: Counter[str] = field(default_factory=Counter)


def rows_of(player: str, version: int = 1) -> list[Row]:
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
class Chaos:
    """Faults at step boundaries, drawn from a seed; at most `limit`, so that every run can end."""

    world: World
    rng: random.Random
    rate: float
    limit: int = 12
    met: Counter[str] = field(default_factory=Counter)
    dead: bool = False

    def __call__(self, step: str, when: str) -> None:
        if self.dead:  # a killed process does nothing more, not even in its finally
            raise Killed
        self.world.now += timedelta(milliseconds=200)
        if sum(self.met.values()) < self.limit and self.rng.random() < self.rate:
            fault = self.rng.choice(FAULTS)
            self.met[fault] += 1
            self.dead = fault == "killed"
            raise_fault(self.world, fault, step, when)


def policy(world: World, rng: random.Random) -> Policy:
    """The real back-off, waiting on the simulated clock."""

    def sleep(seconds: float) -> None:
        world.now += timedelta(seconds=seconds)

    return Policy(sleep=sleep, rng=rng.random)


def staged_path(seed: int, rate: float = 0.06) -> Outcome:
    """Our write path: stage each unit, acknowledge what is verified, consolidate; whoever dies is started again."""
    rng, world = random.Random(seed), World()
    world.predictions = [row for player in PLAYERS[:2] for row in rows_of(player, version=0)]
    chaos = Chaos(world, rng, rate)
    retry = policy(world, rng)
    door = SimulatedWarehouse(world, chaos)
    acknowledged: set[str] = set()
    state = "stalled"
    for _ in range(LIVES):
        chaos.dead = False
        try:
            for player in _deliveries(rng, acknowledged):
                StagingWriter(door, retry).write(BATCH, unit(player), rows_of(player))
                acknowledged.add(player)
            Consolidator(door, "coordinator", retry, cleaners=1).consolidate(BATCH, NIGHT)
            _deliver_late(door, retry, rng)
            if _left(world):
                Consolidator(door, "coordinator", retry, cleaners=1).consolidate(BATCH, NIGHT)
            state = "consolidated"
            break
        except Killed:
            state = "stalled"
        except (OnCallError, GoogleAPICallError, ConnectionError) as error:
            if type(error).__name__ == "NothingStaged" and len(acknowledged) == len(PLAYERS):
                state = "consolidated"
                break
            state = "consolidation failed"
        world.now += LEASE_LIFE  # somebody looks, and resumes
    return _count(world, PLAYERS, state, chaos)


def _deliveries(rng: random.Random, acknowledged: set[str]) -> list[str]:
    """What is not acknowledged yet, in any order, some of it twice."""
    left = [player for player in PLAYERS if player not in acknowledged]
    left += [player for player in left if rng.random() < 0.2]
    rng.shuffle(left)
    return left


def _deliver_late(door: SimulatedWarehouse, retry: Policy, rng: random.Random) -> None:
    """A delivery that arrives after the consolidation: the queue hands out at least once."""
    if rng.random() < 0.3:
        player = rng.choice(PLAYERS)
        StagingWriter(door, retry).write(BATCH, unit(player), rows_of(player))


def _left(world: World) -> bool:
    return any(
        is_unit_table(table, BATCH) for table in world.tables if table.split(".")[-1].startswith(staging_prefix(BATCH))
    )


def direct_path(seed: int, rate: float = 0.06) -> Outcome:
    """The old way: each worker MERGEs its own rows, and its status says success whatever became of it."""
    rng, world = random.Random(seed), World()
    chaos = Chaos(world, rng, rate)
    outstanding = 0
    for player in PLAYERS:
        outstanding = max(0, outstanding + rng.choice((-1, 1, 1, 2)))
        try:
            chaos("merge", "before")
            if outstanding > 4:  # the queue of this small table is full
                raise ConnectionError("Too many DML statements outstanding")
            for old, new in [(None, row) for row in rows_of(player)]:
                assert old is None
                world.predictions.append(dict(new))
            chaos("merge", "after")
        except (Killed, GoogleAPICallError, ConnectionError):
            continue
    return _count(world, PLAYERS, "reported success", chaos)


def early_answer_path(seed: int, rate: float = 0.06) -> Outcome:
    """Staging as first deployed: the worker answers before its write is verified, and nobody asks again."""
    rng, world = random.Random(seed), World()
    chaos = Chaos(world, rng, rate)
    door = SimulatedWarehouse(world, chaos)
    for player in PLAYERS:
        try:
            StagingWriter(door, Policy(retries=0)).write(BATCH, unit(player), rows_of(player))
        except (Killed, OnCallError, GoogleAPICallError, ConnectionError):
            continue
    staged = [row for rows, _ in world.tables.values() for row in rows]
    insert, _, _ = plan_merge(world.predictions, staged, NIGHT)
    world.predictions.extend(insert)
    return _count(world, PLAYERS, "reported success", chaos)


def _count(world: World, players: tuple[str, ...], state: str, chaos: Chaos) -> Outcome:
    there: dict = {}
    for row in world.predictions:
        if row["is_active"]:
            there.setdefault(key(row), []).append(str(row["predicted_points"]))
    wanted = {key(row): str(row["predicted_points"]) for player in players for row in rows_of(player)}
    lost = sum(points not in there.get(k, []) for k, points in wanted.items())
    keys = SimulatedWarehouse(world).keys(PREDICTIONS, NIGHT)
    return Outcome(lost, len(active_twice(keys)), state, world.commits, chaos.met)


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
