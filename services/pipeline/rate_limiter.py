"""Keeps every batch under half of each quota it could hit, by waiting before the call instead of failing after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

# Per second: calls of a method per user, and writes into one table (5 in 10 s, so that any 10 s see 2). Half of each is ours.
QUOTA_PER_S: Mapping[str, float] = {
    "jobs.insert": 100,
    "jobs.get": 1_000,
    "tables.list": 100,
    "tables.get": 100,
    "tables.patch": 100,
    "tables.delete": 100,
    "tabledata.list": 1_000,
    "table.update": 0.4,
}
QUOTA_FRACTION = 0.48


class RateLimiter:
    """Evenly spaced permits per method, shared by the threads of one process."""

    def __init__(
        self,
        quota_per_s: Mapping[str, float] = QUOTA_PER_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._interval_s = {method: 1 / (quota * QUOTA_FRACTION) for method, quota in quota_per_s.items()}
        self._next_permit_at: dict[str, float] = {}
        self._clock, self._sleep, self._lock = clock, sleep, threading.Lock()

    def acquire(self, method: str, scope: str = "") -> None:
        """Wait for this method's next permit; `scope` names the table where the limit is per table."""
        with self._lock:
            now = self._clock()
            permit_at = max(now, self._next_permit_at.get(method + scope, now))
            self._next_permit_at[method + scope] = permit_at + self._interval_s[method]
        if permit_at > now:
            self._sleep(permit_at - now)
