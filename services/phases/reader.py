"""Reads the steps of a game date and of the dates before it: each known, not connected or unknown on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypedDict, cast

from services.core.errors import OnCallError, TableNotFound
from services.core.result import DataSource, Problem, Result
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.phases.declaration import Phase, Step, load_steps

USUAL_DATES = 21  # how many dates before one show what is usual
RUN_DATES = 7  # the same for runs, whose table has some thousands a day
ALL_PHASES = frozenset(Phase)


class _StepRow(TypedDict, total=False):
    """The result of every query in queries/phases."""

    game_date: date
    found: int | None
    total: int | None
    done_at: datetime | None
    parts: Sequence[str]


class _RunRow(TypedDict):
    """queries/processors/runs.sql."""

    data_date: date
    processor_name: str
    runs: int
    succeeded: int
    failed: int
    unfinished: int
    unfinished_since: datetime | None
    longest_s: float | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    error: str | None
    service: str | None


@dataclass(frozen=True)
class StepCount:
    """What a step has for one game date; `total` None: the step counts no share. `parts` are the teams that it names."""

    found: int | None
    total: int | None
    done_at: datetime | None
    parts: frozenset[str]


@dataclass(frozen=True)
class ProcessorRuns:
    """The runs of one processor for one date. `unfinished` have no end; `longest_s` is its longest successful run."""

    processor: str
    data_date: date
    runs: int
    failed: int
    unfinished: int
    unfinished_since: datetime | None
    longest_s: float | None
    succeeded_at: datetime | None
    failed_at: datetime | None
    error: str
    service: str


@dataclass(frozen=True)
class Counts:
    """A step's counts by game date."""

    by_date: Mapping[date, StepCount]
    source: DataSource


@dataclass(frozen=True)
class Runs:
    """The runs of every processor of the game date and of RUN_DATES before it."""

    runs: tuple[ProcessorRuns, ...]
    source: DataSource

    def of(self, processor: str, day: date) -> ProcessorRuns | None:
        """The runs of a processor for a date; None without one."""
        return next((r for r in self.runs if r.processor == processor and r.data_date == day), None)


@dataclass(frozen=True)
class NightPhases:
    """What was read of the steps; a reading is None where its table, or a column of it, does not exist here."""

    game_date: date
    counts: Mapping[Step, Result[Counts] | None]
    runs: Result[Runs] | None

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The sources of what was read, each once."""
        readings = (*self.counts.values(), self.runs)
        return tuple(dict.fromkeys(r.value.source for r in readings if r is not None and r.value is not None))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read."""
        readings = (*self.counts.values(), self.runs)
        return tuple(r.problem for r in readings if r is not None and r.problem is not None)


def read_phases(clients: Clients, game_date: date, phases: frozenset[Phase] = ALL_PHASES) -> NightPhases:
    """The steps of these phases, read concurrently; raises nothing that a source does: it is then unknown."""
    steps = [step for step in load_steps() if step.phase in phases]
    with concurrent_reads() as pool:
        asked_runs = pool.submit(_read_runs, clients, game_date)
        asked = {step: pool.submit(_read_counts, clients, step, game_date) for step in steps}
    return NightPhases(game_date, {step: counts.result() for step, counts in asked.items()}, asked_runs.result())


def _read_counts(clients: Clients, step: Step, game_date: date) -> Result[Counts] | None:
    try:
        result = query_catalog.run_query(
            clients, step.query, first_date=game_date - timedelta(days=USUAL_DATES), last_date=game_date
        )
    except TableNotFound:
        return None
    except OnCallError as error:
        return Result(None, Problem.from_error(step.title, clients.now(), error))
    rows = cast("tuple[_StepRow, ...]", result.rows)
    return Result(Counts({row["game_date"]: _to_count(row) for row in rows}, result.source))


def _to_count(row: _StepRow) -> StepCount:
    parts = frozenset(part for part in row.get("parts") or () if part)
    return StepCount(row["found"], row.get("total"), row["done_at"], parts)


def _read_runs(clients: Clients, game_date: date) -> Result[Runs] | None:
    first_date = game_date - timedelta(days=RUN_DATES)
    try:
        result = query_catalog.run_query(clients, "processors.runs", first_date=first_date, last_date=game_date)
    except TableNotFound:
        return None
    except OnCallError as error:
        return Result(None, Problem.from_error("The run history", clients.now(), error))
    return Result(Runs(tuple(map(_to_runs, cast("tuple[_RunRow, ...]", result.rows))), result.source))


def _error_text(errors: str | None) -> str:
    """The texts of a list of errors, or what is there in place of such a list; it may be cut off."""
    try:
        texts = query_catalog.parse_json_column(errors) if errors else []
    except ValueError:
        return errors or ""
    if texts is None:  # a run that failed without recording why: SQL's NULL is null in JSON
        return ""
    return "; ".join(map(str, texts)) if isinstance(texts, list) else str(texts)


def _to_runs(row: _RunRow) -> ProcessorRuns:
    return ProcessorRuns(
        row["processor_name"],
        row["data_date"],
        row["runs"],
        row["failed"],
        row["unfinished"],
        row["unfinished_since"],
        row["longest_s"],
        row["succeeded_at"],
        row["failed_at"],
        _error_text(row["error"]) if row["failed"] else "",
        row["service"] or "",
    )
