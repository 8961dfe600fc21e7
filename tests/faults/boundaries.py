"""A process killed at every boundary of a run in turn, and started again: enumerated, not drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.faults.harness import Driver, Outcome, drive, outcome_of
from tests.faults.seeds import Kind
from tests.faults.world import Boundary, ProcessKilled, World, open_world


@dataclass
class Killer:
    """Kills the process that reaches boundary number `at`; counts the boundaries."""

    at: int
    counts: Callable[[Boundary], bool]
    count: int = 0
    killed: str = ""

    def __call__(self, _world: World, boundary: Boundary) -> None:
        process, call, phase, _ = boundary
        if phase in ("inside", "commit") or not self.counts(boundary):
            return
        self.count += 1
        if self.count == self.at:
            process.dead, self.killed = True, f"{process.name.split()[0]} {phase} {call}"
            raise ProcessKilled


def is_any(_boundary: Boundary) -> bool:
    """Every boundary of every process."""
    return True


def is_of_watchdog(boundary: Boundary) -> bool:
    """A boundary of the first check of a night: the one that resumes the batch."""
    return boundary[0].name == "watchdog 1"


def is_of_resume(boundary: Boundary) -> bool:
    """Of those, the ones of the resume itself: its records, and its requests to the coordinator."""
    subject = getattr(boundary[3], "table", "")
    return is_of_watchdog(boundary) and (boundary[1] == "coordinator" or subject == "prediction_on_call.actions")


def kill_everywhere(
    kinds: Iterable[Kind],
    step: int = 1,
    drive_night: Driver = drive,
    counts: Callable[[Boundary], bool] = is_any,
) -> Iterator[tuple[str, Outcome]]:
    """Where a process was killed, and how that run ended, for every boundary that `counts` (or each `step`-th) of a run."""
    at = 1
    while True:
        killer = Killer(at, counts)
        with open_world(kinds, killer) as world:
            rounds = drive_night(world, random.Random(0))
            outcome = outcome_of(world, rounds)
        if not killer.killed:
            return
        yield killer.killed, outcome
        at += step
