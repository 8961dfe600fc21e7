"""What was read of the steps of a night: thirty-two players of two teams a game on the dates before, and changes to that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from services.core.clock import ET
from services.core.result import DataSource, Result
from services.phases.declaration import Step, load_steps
from services.phases.reader import Counts, NightPhases, ProcessorRuns, Runs, StepCount

DAY = date(2025, 12, 29)
SOURCE = DataSource("BigQuery", datetime(2025, 12, 29, 20, 0, tzinfo=ET))
TEAMS = frozenset({"BOS", "LAL", "MIA", "NYK"})
STEPS: Mapping[str, Step] = {step.name: step for step in load_steps()}


def at(clock_time: str, day: date = DAY) -> datetime:
    """A time of day, US Eastern."""
    return datetime.fromisoformat(f"{day} {clock_time}").replace(tzinfo=ET)


def make_count(found: int | None = 64, total: int | None = None, done: str = "10:40", **changes: Any) -> StepCount:
    """A step's count of DAY."""
    day = changes.pop("day", DAY)
    return StepCount(found, total, at(done, day), changes.pop("parts", TEAMS))


def make_counts(tonight: StepCount | None, **changes: StepCount) -> Result[Counts]:
    """Six dates of 64 players in two games, and what DAY has."""
    before = {day: make_count(day=day) for day in (DAY - timedelta(days=n) for n in range(1, 7))}
    by_date = {
        **before,
        **({DAY: tonight} if tonight else {}),
        **{date.fromisoformat(d): c for d, c in changes.items()},
    }
    return Result(Counts(by_date, SOURCE))


def make_runs(processor: str, **changes: Any) -> ProcessorRuns:
    """One successful run of four minutes."""
    fields: dict[str, Any] = {
        "data_date": DAY,
        "runs": 1,
        "failed": 0,
        "unfinished": 0,
        "unfinished_since": None,
        "longest_s": 240.0,
        "succeeded_at": at("10:40"),
        "failed_at": None,
        "error": "",
        "service": "nba-phase3",
    }
    return ProcessorRuns(processor, **{**fields, **changes})


def make_phases(*runs: ProcessorRuns, **steps: Result[Counts] | None) -> NightPhases:
    """A night of four teams on the schedule, with these steps."""
    readings = {"schedule": make_counts(make_count(2)), **steps}
    counts = {STEPS[name]: reading for name, reading in readings.items()}
    return NightPhases(DAY, counts, Result(Runs(runs, SOURCE)))
