"""A value or the reason why it is unknown, with its source and age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from services.core.errors import OnCallError

T = TypeVar("T")


class Health(StrEnum):
    """The five health states; `SEVERITY_ORDER` has the worst first. Shown as icon and word, never by colour alone."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    NONE_EXPECTED = "none expected"


SEVERITY_ORDER = (Health.CRITICAL, Health.UNKNOWN, Health.WARNING, Health.OK, Health.NONE_EXPECTED)


def worst(states: Iterable[Health]) -> Health:
    """The worst of several states; unknown when there are none (nothing was checked)."""
    return min(states, key=SEVERITY_ORDER.index, default=Health.UNKNOWN)


def sum_or_unknown(counts: Iterable[int | None]) -> int | None:
    """The sum of counts; None, which is unknown, as soon as one of them is."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


@dataclass(frozen=True)
class DataSource:
    """One read: the source's display `name`, and `detail` to find it again (job id, log filter)."""

    name: str
    read_at: datetime
    bytes_billed: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Problem:
    """A source that could not be read: since when, why (`message`), and what to do (`hint`)."""

    source: str
    since: datetime
    message: str
    hint: str = ""

    @classmethod
    def from_error(cls, source: str, since: datetime, error: OnCallError) -> Problem:
        return cls(source, since, error.message, error.hint)


@dataclass(frozen=True)
class Result(Generic[T]):
    """A value, or the problem that makes it unknown. A problem means that `value` is None.

    `outdated` says why a value may not be what is so now: its source failed since, or it is past its freshness.
    """

    value: T | None
    problem: Problem | None = None
    outdated: Problem | None = None

    @property
    def ok(self) -> bool:
        return self.problem is None


def list_outdated(results: Iterable[Result[Any]]) -> tuple[Problem, ...]:
    """Why values of these results may not be what is so now, each source once."""
    outdated = (result.outdated for result in results if result.outdated is not None)
    return tuple({problem.source: problem for problem in outdated}.values())
