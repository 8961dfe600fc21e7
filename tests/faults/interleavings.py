"""Processes of one game date, interleaved call by call in schedules drawn from a seed: consolidators, deliveries, coordinators."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch

import requests
from google.api_core.exceptions import GoogleAPICallError
from greenlet import getcurrent, greenlet

from services.core.errors import OnCallError
from services.pipeline import lease
from services.pipeline.lease import Lease
from services.pipeline.manifest import NothingStaged
from tests.faults.harness import consolidate
from tests.faults.judge import Verdict
from tests.faults.seeds import LINE, NIGHT, Kind
from tests.faults.world import Process, World, open_world
from tests.support.memory_rows import GAME

BATCHES = ("batch_2025-12-29_1767077100000", "batch_2025-12-29_1767077200000")
PLAYERS = ("ann", "bob")
TIME_JUMP = timedelta(minutes=11)  # past the life of a lease: its holder looks dead, and is only slow
KINDS = (
    {Kind.NULL_LINE},
    {Kind.NULL_LINE, Kind.ACTIVE},
)  # MERGEs that only insert may race; with rows to retire they may not


@dataclass(frozen=True)
class ScheduleResult:
    """The result of one schedule: MERGEs that overlapped, and the verdict on the rows when all has been consolidated."""

    overlaps: int
    verdict: Verdict


def run_schedule(seed: int, consolidators: int, coordinators: int = 0) -> ScheduleResult:
    """Consolidators of two batches of one date, a late delivery to one of them, and coordinators that start the same date.

    Between any two calls another process may go on, or time may jump past the life of a lease.
    """
    rng = random.Random(seed)
    with open_world(rng.choice(KINDS), rng=rng.random) as world:
        for number, batch_id in enumerate(BATCHES):
            for player in PLAYERS:
                world.deliver(make_request(batch_id, player, number))
            world.clock.at += timedelta(minutes=1)
        _interleave(world, rng, _processes(world, rng, consolidators, coordinators))
        _finish(world)
        verdict = world.verdict(() if coordinators else PLAYERS)
        return ScheduleResult(world.project.overlaps, verdict)


def make_request(batch_id: str, player: str, version: int) -> bytes:
    """A request to a worker; each version has other points, and a line that is half a point higher."""
    context = {"points_avg_last_5": str(20 + version), "current_points_line": str(LINE + Decimal(version) / 2)}
    body = {"batch_id": batch_id, "game_date": str(NIGHT), "player_lookup": player, "game_id": GAME, "context": context}
    return json.dumps(body).encode()


def _processes(world: World, rng: random.Random, consolidators: int, coordinators: int) -> list[Callable[[], object]]:
    late_batch, version = rng.choice(BATCHES), rng.choice((0, 1, 2))
    start = {"game_date": str(NIGHT)}
    return [
        *(partial(consolidate, world, Process(f"consolidator {n}"), BATCHES[n % 2]) for n in range(consolidators)),
        partial(world.deliver, make_request(late_batch, "ann", version)),
        *(partial(world.post, Process(f"coordinator {n}"), "/start", start) for n in range(coordinators)),
    ]


def _interleave(world: World, rng: random.Random, processes: list[Callable[[], object]]) -> None:
    """Let the processes take turns until all have ended."""
    scheduler = getcurrent()

    def pause(*_: Any) -> None:
        if getcurrent() is not scheduler:
            scheduler.switch()

    def guarded(work: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                work()
            except (OnCallError, GoogleAPICallError, requests.RequestException):
                return  # refused, fenced off, or its tables were dropped by the one that did the work

        return run

    world.injector, world.clock.on_sleep = pause, pause
    running = [greenlet(guarded(work)) for work in processes]
    while running:
        if rng.random() < 0.02:
            world.clock.at += TIME_JUMP
        rng.choice(running).switch()
        running = [process for process in running if not process.dead]
    world.injector, world.clock.on_sleep = lambda *_: None, None


def _finish(world: World) -> None:
    """Somebody consolidates what the refused ones left."""
    for batch_id in [*BATCHES, *(record.batch_id for record in world.records())]:
        world.clock.at += TIME_JUMP
        try:
            consolidate(world, Process("last"), batch_id)
        except NothingStaged:
            continue
        except OnCallError:
            continue  # without a lease there are duplicates, which are counted


@contextmanager
def without_lease() -> Iterator[None]:
    """Every consolidator gets the lease at once, as in the customer's first version."""
    fences = iter(range(1, 1_000_000))

    def acquire_always(_job_ids: Any, game_date: date, holder: str, *_: Any) -> Lease:
        return Lease(game_date, next(fences), holder)

    def do_nothing(*_: Any) -> None:
        pass

    with (
        patch.object(lease, "acquire", acquire_always),
        patch.object(lease, "release", do_nothing),
        patch.object(lease, "renew", do_nothing, create=True),
    ):
        yield


def survey(seeds: range, consolidators: int, coordinators: int = 0) -> tuple[int, Verdict]:
    """(overlapping MERGEs, the sum of the verdicts) over many schedules."""
    results = [run_schedule(seed, consolidators, coordinators) for seed in seeds]
    return sum(result.overlaps for result in results), sum((result.verdict for result in results), Verdict())
