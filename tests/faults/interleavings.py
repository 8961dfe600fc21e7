"""Two to four consolidations of one game date, interleaved step by step in schedules drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

from greenlet import greenlet

from services.batches.business_key import key
from services.batches.ids import PREDICTIONS, unit
from services.core.errors import OnCallError
from services.gcp.retry import Policy
from services.pipeline import consolidator
from services.pipeline.consolidator import Consolidator, NotConserved, NothingStaged, active_twice
from services.pipeline.lease import Lease
from services.pipeline.worker.staging_writer import StagingWriter
from tests.faults.harness import BATCH, NIGHT, PLAYERS, rows_of
from tests.faults.simulated import SimulatedWarehouse, World


@dataclass(frozen=True)
class Schedule:
    """What one schedule came to: MERGEs that overlapped, keys active twice, rows missing, MERGEs committed."""

    overlaps: int
    doubled: int
    lost: int
    merges: int


def run(seed: int, consolidators: int) -> Schedule:
    """Consolidators of two batches of the same date; between any two steps another may go on, or time may jump past the lease's life."""
    rng, world = random.Random(seed), World()
    batches = [BATCH, BATCH.replace("1767077100000", "1767077200000")]
    for i, batch in enumerate(batches):
        for player in PLAYERS[:3]:
            StagingWriter(SimulatedWarehouse(world), Policy(retries=0)).write(
                batch, unit(player), rows_of(player, 1 + i)
            )
    running = [_start(world, batches[i % 2], rng, i) for i in range(consolidators)]
    while running:
        one = rng.choice(running)
        if rng.random() < 0.02:
            world.now += timedelta(minutes=11)  # the holder looks dead, and is only slow
        one.switch()
        running = [other for other in running if not other.dead]
    for batch in batches:  # somebody finishes what the refused ones left
        world.now += timedelta(minutes=11)
        try:
            Consolidator(SimulatedWarehouse(world), "last", Policy(retries=0), cleaners=1).consolidate(batch, NIGHT)
        except (NothingStaged, NotConserved):
            continue  # the others did it all; or, without a lease, duplicates were made and are told
    return _judge(world)


def _start(world: World, batch: str, rng: random.Random, number: int) -> Any:
    home = greenlet.getcurrent()

    def pause(_step: str, _when: str) -> None:
        world.now += timedelta(milliseconds=100)
        home.switch()

    def work() -> None:
        door = SimulatedWarehouse(world, pause)
        policy = Policy(retries=2, rng=rng.random, sleep=lambda _: pause("sleep", "inside"))
        try:
            Consolidator(door, f"c{number}", policy, cleaners=1).consolidate(batch, NIGHT)
        except (OnCallError, KeyError):
            return  # refused, fenced off, or its tables were cleaned up by the one that did the work

    return greenlet(work)


def _judge(world: World) -> Schedule:
    keys = SimulatedWarehouse(world).keys(PREDICTIONS, NIGHT)
    wanted = {key(row) for player in PLAYERS[:3] for row in rows_of(player)}
    lost = sum(not any(keys.get(k, ())) for k in wanted)
    return Schedule(world.overlaps, len(active_twice(keys)), lost, world.commits)


@contextmanager
def lease_off() -> Iterator[None]:
    """Everybody is given a lease at once: what the customer's first version did."""
    fences = iter(range(1, 1_000_000))

    def anyway(_warehouse: Any, game_date: date, holder: str) -> Lease:
        return Lease(game_date, next(fences), holder)

    with (
        patch.object(consolidator.leases, "acquire", anyway),
        patch.object(consolidator.leases, "release", lambda *_: None),
    ):
        yield


def survey(seeds: range, consolidators: int) -> tuple[int, int, int]:
    """(overlapping MERGEs, keys active twice, rows missing) over many schedules."""
    found = [run(seed, consolidators) for seed in seeds]
    return sum(s.overlaps for s in found), sum(s.doubled for s in found), sum(s.lost for s in found)
