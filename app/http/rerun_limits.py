"""How often pages may be rendered again: per person and in all. A rerun costs a thread, and the one Python process some 50 ms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

# Of one person, over all their open pages; a page that is worked on asks less often than that, 40 idle ones once a second.
RERUNS_PER_S, RERUNS_AT_ONCE = 4.0, 12
# Of all persons. A hundred open pages ask some 4 times a second, half of them while a source does not answer.
TOTAL_RERUNS_PER_S, TOTAL_RERUNS_AT_ONCE = 20.0, 60


class Turns:
    """`at_once` turns, and `per_s` more each second. Who must wait gets theirs in the order in which they asked.

    With `total`, each turn is one of these too; as only the first who waits here waits there, nobody waits behind many
    turns of one person.
    """

    def __init__(
        self, per_s: float, at_once: int, total: Turns | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s, self._total, self._clock = 1 / per_s, total, clock
        self._credit_s = (at_once - 1) / per_s
        self._paid_until = float("-inf")  # the time by which the turns taken so far are due at `per_s`
        self._line = asyncio.Lock()

    async def take(self) -> None:
        """Return when it is the caller's turn; a caller that is cancelled has taken none."""
        async with self._line:
            wait_s = self._paid_until - self._credit_s - self._clock()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if self._total:
                await self._total.take()
            self._paid_until = max(self._paid_until, self._clock()) + self._interval_s

    @property
    def unused(self) -> bool:
        """Whether nobody waits and all turns may be taken at once again."""
        return not self._line.locked() and self._paid_until <= self._clock()


class RerunLimits:
    """The turns of every person who has used some lately, closed pages included: opening them again gains nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = Turns(TOTAL_RERUNS_PER_S, TOTAL_RERUNS_AT_ONCE, clock=clock)
        self._turns: dict[str, Turns] = {}

    async def take_turn(self, person: str) -> None:
        """Return when a page of this person may be rendered."""
        if person not in self._turns:
            self._turns = {name: turns for name, turns in self._turns.items() if not turns.unused}
            self._turns[person] = Turns(RERUNS_PER_S, RERUNS_AT_ONCE, self._total, self._clock)
        await self._turns[person].take()
