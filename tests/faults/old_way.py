"""The write path of before: each worker MERGEs its own rows, through the limits that the sandbox enforces.

As the handoff has it: 100 workers at once; 2 statements run and 20 are queued; a refused one is tried 3 more times, after 5 s doubled each
time with jitter; and whatever came of it, the worker reports success.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from services.gcp.retry import RetryPolicy
from services.policy.dml_limits import NORMAL_WORKER_CAPACITY
from services.sandbox.bigquery.limits import Limits

PLAYERS, ROWS_PER_PLAYER = 158, 25
PREDICTION_S, MERGE_S = (2.0, 8.0), (3.0, 9.0)  # seconds that each takes, from … to; the handoff has no figure
TABLE = "predictions"


@dataclass
class OldNight:
    """How a night of the old way ended: players and rows that are not in the table, and statements refused on the way."""

    lost_players: int = 0
    refused: int = 0

    @property
    def lost_rows(self) -> int:
        return ROWS_PER_PLAYER * self.lost_players


@dataclass
class _Simulation:
    rng: random.Random
    limits: Limits = field(default_factory=Limits)
    night: OldNight = field(default_factory=OldNight)
    events: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=lambda: [f"player {n}" for n in range(PLAYERS)])
    order: itertools.count[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.policy = RetryPolicy(rng=self.rng.random)

    def at(self, second: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (second, next(self.order), what))

    def take_player(self, now: float) -> None:
        """A free worker predicts the next player and then writes."""
        if self.waiting:
            player = self.waiting.pop()
            self.at(now + self.rng.uniform(*PREDICTION_S), lambda then: self.write(then, player, 1))

    def write(self, now: float, player: str, attempt: int) -> None:
        queue = self.limits.dml_queues[TABLE]
        refused = self.limits.check_dml_statement(TABLE, True, now)
        result = "full" if refused else queue.submit(player)
        if result == "run":
            self.at(now + self.rng.uniform(*MERGE_S), lambda then: self.finish(then, player))
        elif result == "full" and attempt <= self.policy.retries:
            self.night.refused += 1
            self.at(now + self.policy.backoff_s(attempt), lambda then: self.write(then, player, attempt + 1))
        elif result == "full":
            self.night.refused += 1
            self.night.lost_players += 1
            self.take_player(now)

    def finish(self, now: float, player: str) -> None:
        started = self.limits.dml_queues[TABLE].finish(player)
        if started is not None:
            self.at(now + self.rng.uniform(*MERGE_S), lambda then: self.finish(then, started))
        self.take_player(now)


def run_night(seed: int) -> OldNight:
    """One night of 158 players, from the first request to the last answer."""
    simulation = _Simulation(random.Random(seed))
    instances, concurrency = NORMAL_WORKER_CAPACITY
    for _ in range(instances * concurrency):
        simulation.at(0.0, simulation.take_player)
    while simulation.events:
        now, _, what = heapq.heappop(simulation.events)
        what(now)
    return simulation.night
