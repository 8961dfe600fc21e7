"""Keeps every batch under half of each quota it could hit, by waiting before the call instead of failing after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

# Per second: calls of a method per user, and writes into one table (5 in 10 s, so that any 10 s see 2). Half of each is ours.
QUOTA_PER_S: Mapping[str, float] = {
    "jobs.insert": 100,
    "tables.insert": 10,
    "tables.get": 100,
    "table.update": 0.4,
}
SHARE = 0.48


class Pace:
    """Evenly spaced permits per method, shared by the threads of one process."""

    def __init__(
        self,
        quota_per_s: Mapping[str, float] = QUOTA_PER_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = {method: 1 / (quota * SHARE) for method, quota in quota_per_s.items()}
        self._next: dict[str, float] = {}
        self._clock, self._sleep, self._lock = clock, sleep, threading.Lock()

    def take(self, method: str, of: str = "") -> None:
        """Wait for this method's next permit; `of` names the table of a limit that each table has for itself."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next.get(method + of, now))
            self._next[method + of] = at + self._gap[method]
        if at > now:
            self._sleep(at - now)
