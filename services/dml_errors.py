"""DML errors: how many writes fail, why, and against which limit; each failure counted once though lines repeat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.foundation.clients import Cloud
from services.foundation.reading import Health, Problem, Source


@dataclass(frozen=True)
class WriteAttempt:
    """One mutating DML statement against the predictions table, from the job history."""

    job_id: str
    at: datetime
    ended: datetime | None
    statement: str
    ok: bool | None  # None: still running
    reason: str
    message: str
    user: str


@dataclass(frozen=True)
class DmlReport:
    """Writes of a window of time. Counts are None when neither job history nor logs could be read."""

    start: datetime
    end: datetime
    attempted: int | None
    rejected: int | None
    by_minute: tuple[tuple[datetime, int, int], ...]  # (minute, attempted, rejected)
    by_reason: tuple[tuple[str, int], ...]
    peak_outstanding: int | None  # most statements running or waiting at once, against 2 + 20
    alert_at: datetime | None  # when the rule (5 in 60 s) would have fired
    rejected_in_logs: int | None  # the same rejections as the log tells them, counted once
    attempts: tuple[WriteAttempt, ...]
    health: Health
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def rejected_pct(self) -> float | None:
        return 100 * self.rejected / self.attempted if self.attempted and self.rejected is not None else None


def read_writes(cloud: Cloud, start: datetime, end: datetime) -> DmlReport:
    """Mutating DML against the predictions table between two instants, from job history and worker logs."""
    raise NotImplementedError
