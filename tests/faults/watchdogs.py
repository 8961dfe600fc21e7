"""The production watchdog in the world: its checks, of which each may die anywhere, repair a night whose coordinator has died."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from services.actions import background, executor
from services.actions.log_reader import read_action_log
from services.alerts import remediation, watchdog
from services.alerts.alert_log import read_alerts
from tests.faults import harness
from tests.faults.seeds import NIGHT, PLAYERS
from tests.faults.world import Boundary, Process, ProcessKilled, World
from tests.support.memory_clients import memory_clients

CHECK_INTERVAL = timedelta(minutes=11)  # so that a batch may stall between two checks; the scheduler's is shorter
HALF = len(PLAYERS) // 2
CHECKS = 12  # of a night: a batch whose resume failed is resumed again after 30 min


def drive(world: World, rng: random.Random) -> int:
    """A night whose coordinator dies of it, left to the watchdog, and what exceeds its limit to an operator; in how many rounds."""
    coordinator, faults = Process("coordinator"), world.injector

    def kill_halfway(world: World, boundary: Boundary) -> None:
        if boundary[:3] == (coordinator, "predict", "after") and len(world.requests) == HALF:
            coordinator.dead = True
            raise ProcessKilled
        faults(world, boundary)

    world.injector = kill_halfway
    with suppress(ProcessKilled):
        world.post(coordinator, "/start", {"game_date": str(NIGHT)})
    for number in range(1, CHECKS + 1):
        world.clock.at += CHECK_INTERVAL
        check(world, Process(f"watchdog {number}"))
        if world.records() and not world.false_records() and not world.unfinished_actions():
            harness.drive(world, rng)  # tables of what was delivered again later are for an operator
            return number
        if is_left_to_operator(world):
            harness.drive(world, rng)
    return CHECKS


def is_left_to_operator(world: World) -> bool:
    """Whether an alert is open, and the records show why no resume helps: the limit is reached, nothing was started, sums do not hold."""
    clients = memory_clients(world.project)
    log = read_action_log(clients, world.clock.at - timedelta(days=1), world.clock.at + timedelta(days=1))
    resumes = sum(a.action_name == "run.resume" and a.actor == remediation.WATCHDOG_ACTOR.name for a in log.actions)
    ended = all(record.state == "consolidated" for record in world.records())
    return (ended or resumes >= remediation.MAX_RESUMES) and bool(read_alerts(clients).open)


def check(world: World, process: Process) -> None:
    """One check of the watchdog, as its job runs it, and then the runs that it has requested."""
    world.watchdog = process
    try:
        with suppress(ProcessKilled), _without_threads():
            watchdog.run(world.clients(process), None, {})
    finally:
        world.watchdog = None
    world.run_accepted()


@contextmanager
def _without_threads() -> Iterator[None]:
    """A new process: its actions are done when it waits for them, and record no heartbeats."""
    actions: list[Callable[[], object]] = []

    def thread(target: Callable[..., object], args: tuple[object, ...] = (), **_: Any) -> SimpleNamespace:
        return SimpleNamespace(start=lambda: actions.append(lambda: target(*args)))

    def wait(*_: object) -> None:
        while actions:
            actions.pop(0)()

    runner = background.BackgroundRunner()
    no_thread = SimpleNamespace(start=lambda: None)
    with ExitStack() as patches:
        for module in (watchdog, remediation):
            patches.enter_context(patch.object(module, "BACKGROUND", runner))
        threads = SimpleNamespace(Thread=thread, Lock=threading.Lock)
        patches.enter_context(patch.object(background, "threading", threads))
        patches.enter_context(patch.object(background, "wait", wait))
        heartbeats = SimpleNamespace(Thread=lambda **_: no_thread, Event=threading.Event)
        patches.enter_context(patch.object(executor, "threading", heartbeats))
        yield
