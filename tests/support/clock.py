"""A clock for tests: it moves only when a test advances it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class FixedClock:
    """Gives `at`, timezone-aware, until `advance` moves it."""

    at: datetime

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
