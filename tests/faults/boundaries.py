"""A process killed at every boundary of a run in turn, and started again: enumerated, not drawn."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.faults.harness import Outcome, drive, outcome_of
from tests.faults.seeds import Kind
from tests.faults.world import Boundary, ProcessKilled, World, open_world


@dataclass
class Killer:
    """Kills the process that reaches boundary number `at`; counts the boundaries."""

    at: int
    count: int = 0
    killed: str = ""

    def __call__(self, _world: World, boundary: Boundary) -> None:
        process, call, phase, _ = boundary
        if phase in ("inside", "commit"):
            return
        self.count += 1
        if self.count == self.at:
            process.dead, self.killed = True, f"{process.name.split()[0]} {phase} {call}"
            raise ProcessKilled


def kill_everywhere(kinds: Iterable[Kind], step: int = 1) -> Iterator[tuple[str, Outcome]]:
    """Where a process was killed, and how that run ended, for every boundary (or each `step`-th) of a run without other faults."""
    at = 1
    while True:
        killer = Killer(at)
        with open_world(kinds, killer) as world:
            rounds = drive(world, random.Random(0))
            outcome = outcome_of(world, rounds)
        if not killer.killed:
            return
        yield killer.killed, outcome
        at += step
