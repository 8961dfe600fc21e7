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

from services.batches.business_key import business_key
from services.batches.ids import work_unit_id
from services.core.errors import OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.retry import RetryPolicy
from services.pipeline import lease
from services.pipeline.consolidator import Consolidator, NothingStaged, RowCountMismatch, duplicate_active_keys
from services.pipeline.lease import Lease
from services.pipeline.worker.staging_writer import StagingWriter
from tests.faults.fake_warehouse import FakeWarehouse, WarehouseState
from tests.faults.harness import BATCH, NIGHT, PLAYERS, make_rows


@dataclass(frozen=True)
class ScheduleResult:
    """The result of one schedule: MERGEs that overlapped, keys active twice, rows missing, MERGEs committed."""

    overlaps: int
    doubled: int
    lost: int
    merges: int


def run_schedule(seed: int, consolidators: int) -> ScheduleResult:
    """Consolidators of two batches of the same date; between any two steps another may go on, or time may jump past the lease's life."""
    rng, store = random.Random(seed), WarehouseState()
    batches = [BATCH, BATCH.replace("1767077100000", "1767077200000")]
    for i, batch in enumerate(batches):
        for player in PLAYERS[:3]:
            StagingWriter(FakeWarehouse(store), RetryPolicy(retries=0)).write(
                batch, work_unit_id(player), make_rows(player, 1 + i)
            )
    running = [_start_consolidator(store, batches[i % 2], rng, i) for i in range(consolidators)]
    while running:
        current = rng.choice(running)
        if rng.random() < 0.02:
            store.now += timedelta(minutes=11)  # the holder looks dead, and is only slow
        current.switch()
        running = [process for process in running if not process.dead]
    for batch in batches:  # a later run finishes what the refused ones left
        store.now += timedelta(minutes=11)
        try:
            Consolidator(FakeWarehouse(store), "last", RetryPolicy(retries=0), drop_threads=1).consolidate(batch, NIGHT)
        except (NothingStaged, RowCountMismatch):
            continue  # the others did it all; or, without a lease, made duplicates, which are counted
    return _summarize(store)


def _start_consolidator(store: WarehouseState, batch: str, rng: random.Random, index: int) -> Any:
    scheduler = greenlet.getcurrent()

    def pause(_step: str, _phase: str) -> None:
        store.now += timedelta(milliseconds=100)
        scheduler.switch()

    def work() -> None:
        warehouse = FakeWarehouse(store, pause)
        policy = RetryPolicy(retries=2, rng=rng.random, sleep=lambda _: pause("sleep", "inside"))
        try:
            Consolidator(warehouse, f"c{index}", policy, drop_threads=1).consolidate(batch, NIGHT)
        except (OnCallError, KeyError):
            return  # refused, fenced off, or its tables were cleaned up by the one that did the work

    return greenlet(work)


def _summarize(store: WarehouseState) -> ScheduleResult:
    keys = FakeWarehouse(store).read_keys(PREDICTIONS_TABLE, NIGHT)
    expected_keys = {business_key(row) for player in PLAYERS[:3] for row in make_rows(player)}
    lost = sum(not any(keys.get(k, ())) for k in expected_keys)
    return ScheduleResult(store.overlaps, len(duplicate_active_keys(keys)), lost, store.commits)


@contextmanager
def without_lease() -> Iterator[None]:
    """Every consolidator gets the lease at once, as in the customer's first version."""
    fences = iter(range(1, 1_000_000))

    def acquire_always(_warehouse: Any, game_date: date, holder: str) -> Lease:
        return Lease(game_date, next(fences), holder)

    with (
        patch.object(lease, "acquire", acquire_always),
        patch.object(lease, "release", lambda *_: None),
    ):
        yield


def survey(seeds: range, consolidators: int) -> tuple[int, int, int]:
    """(overlapping MERGEs, keys active twice, rows missing) over many schedules."""
    results = [run_schedule(seed, consolidators) for seed in seeds]
    return sum(s.overlaps for s in results), sum(s.doubled for s in results), sum(s.lost for s in results)
