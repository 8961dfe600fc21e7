"""What is known, where it came from, how old it is, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from services.core.errors import OnCallError

T = TypeVar("T")


class Health(StrEnum):
    """The five health words, worst first in `SEVERITY`. Shown as icon and word, never by colour alone."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    NONE_EXPECTED = "none expected"


SEVERITY_ORDER = (Health.CRITICAL, Health.UNKNOWN, Health.WARNING, Health.OK, Health.NONE_EXPECTED)


def worst(states: Iterable[Health]) -> Health:
    """The worst of several health words; of none, unknown (nothing was judged)."""
    return min(states, key=SEVERITY_ORDER.index, default=Health.UNKNOWN)


@dataclass(frozen=True)
class DataSource:
    """One thing that was read: `name` as a reader would say it, `detail` to find it again (job id, filter)."""

    name: str
    read_at: datetime
    bytes_billed: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Problem:
    """A source that could not be read: since when, why, and what to do."""

    source: str
    since: datetime
    message: str
    hint: str = ""

    @classmethod
    def from_error(cls, source: str, since: datetime, error: OnCallError) -> Problem:
        return cls(source, since, error.message, error.hint)


@dataclass(frozen=True)
class Result(Generic[T]):
    """A fact, or the reason why it is unknown. Exactly one of `value` and `problem` is set."""

    value: T | None
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None
