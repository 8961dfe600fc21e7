"""One statement about a night: how healthy it is, in numbers and words, from which sources, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.core.clock import format_eastern
from services.core.result import DataSource, Health, Problem, Result, worst


class Subject(StrEnum):
    """What a statement is about. A night is green only when each of them is proven."""

    PLAYERS = "Players"
    ROWS = "Rows"
    INPUTS = "Inputs"
    LINES = "Lines"
    NAMES = "Names"
    CONSERVATION = "Conservation"
    WRITES = "DML errors"
    STAGING = "Staging tables"
    BATCH = "Batch"


class Repair(StrEnum):
    """What repairs a night; each is one button."""

    START_RUN = "start the run"
    RERUN_PLAYERS = "re-run the players"
    CONSOLIDATE = "consolidate"
    RESUME = "resume the batch"
    REMOVE_DUPLICATES = "remove duplicates"


@dataclass(frozen=True)
class Statement:
    """`part` of `whole` are in order; None where unknown or not a count. `recorded` False: the source does not exist here."""

    subject: Subject
    health: Health
    text: str
    page: str  # file name in pages/ without .py: where the evidence is
    part: int | None = None
    whole: int | None = None
    sources: tuple[DataSource, ...] = ()
    problems: tuple[Problem, ...] = ()  # why it is unknown, old or partial
    repair: Repair | None = None
    recorded: bool = True
    cause: str = ""  # why it is so, where that is known
    since: datetime | None = None  # when that began

    @property
    def state(self) -> str:
        """The word of its badge."""
        return str(self.health) if self.recorded else "not recorded"

    @property
    def sentence(self) -> str:
        """The text with its cause and its beginning, and why it may not be so now."""
        text = f"{self.text}: {self.cause}" if self.cause else self.text
        if self.since is not None and f"since {format_eastern(self.since)}" not in text:
            text += f", since {format_time(self.since)}"
        reasons = [problem.message for problem in self.problems if problem.message not in text]
        return f"{text}, but {reasons[0]}" if reasons else text

    @property
    def is_proven(self) -> bool:
        """Whether a fresh, complete reading shows that all is in order, or that nothing is recorded here to read."""
        return self.health in (Health.OK, Health.NONE_EXPECTED)

    def based_on(self, *readings: Result[Any], problems: Iterable[Problem] = ()) -> Statement:
        """The statement as its readings allow: with one missing or outdated, or with `problems`, it is unknown at best."""
        found = tuple(dict.fromkeys((*self.problems, *list_problems(readings), *problems)))
        sources = tuple(dict.fromkeys((*self.sources, *list_sources(readings))))
        health = worst((self.health, Health.UNKNOWN)) if found else self.health
        return replace(self, health=health, problems=found, sources=sources)


def not_recorded(subject: Subject, text: str, page: str) -> Statement:
    """A statement whose source does not exist in this installation: shown, and never in the way of a green night."""
    return Statement(subject, Health.NONE_EXPECTED, text, page, recorded=False)


def unknown(subject: Subject, page: str, *readings: Result[Any]) -> Statement:
    """A statement whose source could not be read."""
    return Statement(subject, Health.UNKNOWN, _problem_text(list_problems(readings)), page).based_on(*readings)


def list_problems(readings: Iterable[Result[Any]]) -> tuple[Problem, ...]:
    """Why these readings are missing or outdated, each once."""
    found = (problem for reading in readings for problem in (reading.problem, reading.outdated) if problem is not None)
    return tuple(dict.fromkeys(found))


def list_sources(readings: Iterable[Result[Any]]) -> tuple[DataSource, ...]:
    """What these readings were read from."""
    return tuple(source for reading in readings for source in getattr(reading.value, "sources", ()))


def format_time(at: datetime) -> str:
    """14:47 ET (19:47 UTC)."""
    return f"{format_eastern(at)} ({at:%H:%M} UTC)"


def while_running(now: datetime) -> str:
    """What is said before a count that a running batch may still change."""
    return f"as of {format_time(now)}, batch running"


def _problem_text(problems: tuple[Problem, ...]) -> str:
    return f"unknown since {format_time(problems[0].since)}: {problems[0].message}" if problems else "unknown"
