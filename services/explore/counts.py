"""Reads a look: first what it would cost, by a dry run, which is free; then the counts, under the bytes limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from services.core.clock import format_eastern
from services.core.errors import OverBytesLimit
from services.core.result import DataSource, Problem
from services.core.text import pluralize
from services.explore.look import Look
from services.explore.subjects import DIMENSION_COLUMNS
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.query_catalog import MIB, MIN_BILLED_MIB, QueryResult

MAX_GROUPS = 5_000  # queries/explore asks for one more


@dataclass(frozen=True)
class Cost:
    """What a look would read, and the most that one query may."""

    look: Look
    read_bytes: int
    limit_bytes: int

    @property
    def billed_bytes(self) -> int:
        """BigQuery bills at least 10 MiB."""
        return max(self.read_bytes, MIN_BILLED_MIB * MIB)

    @property
    def text(self) -> str:
        """About 24 MiB."""
        return f"about {format_size(self.billed_bytes)}"

    @property
    def limit_text(self) -> str:
        """The limit as 1.0 GiB."""
        return format_size(self.limit_bytes)

    @property
    def refusal(self) -> str:
        """Why it is not read, and how many days could be; "" where it can be read."""
        if self.billed_bytes <= self.limit_bytes:
            return ""
        days, limit = self.look.days, self.limit_text
        said = f"{pluralize(days, 'day')} would read {format_size(self.billed_bytes)}; the limit is {limit} (QUERY_LIMIT_MIB)"
        fitting = days * self.limit_bytes // self.billed_bytes
        advice = f"choose at most {pluralize(fitting, 'day')}" if fitting else "one day alone is beyond it"
        return f"{said}: {advice}."


@dataclass(frozen=True)
class Group:
    """One group: its value of each dimension, and its measures by the query's columns."""

    values: Mapping[str, Any]
    measures: Mapping[str, int]


@dataclass(frozen=True)
class Counts:
    """The groups of a look, the newest date first; `truncated` where there are more than MAX_GROUPS, which are not read."""

    look: Look
    groups: tuple[Group, ...]
    source: DataSource
    truncated: bool = False

    def to_row(self, group: Group) -> dict[str, Any]:
        """A group as a row of a table: what it is of, then its measures, by their names on screen."""
        values = {name: show_value(name, value) for name, value in group.values.items()}
        return values | {name: group.measures[column] for column, name in self.look.subject.measures.items()}

    def total(self, measure: str) -> int:
        """The sum over the groups that were read; no sum for what groups share, as players."""
        return sum(group.measures[measure] for group in self.groups)

    @property
    def headline(self) -> str:
        """Predictions: 1,700 rows in 5 groups."""
        column, name = next(iter(self.look.subject.measures.items()))
        at_least = "at least " if self.truncated else ""
        total, groups = self.total(column), pluralize(len(self.groups), "group")
        return (
            f"{self.look.subject.name.capitalize()}: {at_least}{pluralize(total, name.removesuffix('s'))} in {groups}"
        )

    @property
    def problem(self) -> Problem | None:
        """What was not read, in a sentence; None when everything was."""
        if not self.truncated:
            return None
        message = f"There are more than {MAX_GROUPS:,} groups; the others are not counted here."
        return Problem(self.look.subject.table, self.source.read_at, message, "Choose fewer dates, or count by less.")


def _run(name: str, clients: Clients, look: Look) -> QueryResult:
    return query_catalog.run_query(clients, name, **look.query_params)


_READERS = {  # by subject
    "predictions": partial(_run, "explore.predictions"),
    "worker runs": partial(_run, "explore.worker_runs"),
    "odds": partial(_run, "explore.odds"),
    "context": partial(_run, "explore.context"),
}


def read_cost(clients: Clients, look: Look) -> Cost:
    """What a look would cost; free. Raises OnCallError."""
    (name,) = _READERS[look.subject.name].args
    read_bytes = query_catalog.dry_run_bytes(clients, name, **look.query_params)
    return Cost(look, read_bytes, clients.settings.max_bytes_billed_mib * MIB)


def read_counts(clients: Clients, cost: Cost) -> Counts:
    """The counts of a look whose cost is known; raises OverBytesLimit, which says how many days fit, and OnCallError."""
    if cost.refusal:
        raise OverBytesLimit(cost.refusal, "Nothing was read.")
    look = cost.look
    answer = _READERS[look.subject.name](clients, look)
    groups = tuple(_to_group(look, row) for row in answer.rows[:MAX_GROUPS])
    return Counts(look, groups, answer.source, truncated=len(answer.rows) > MAX_GROUPS)


def _to_group(look: Look, row: Mapping[str, Any]) -> Group:
    values = {name: row[DIMENSION_COLUMNS[name]] for name in look.by}
    return Group(values, {column: row[column] or 0 for column in look.subject.measures})


def show_value(dimension: str, value: Any) -> Any:  # noqa: ANN401 - of any column
    """A group's value as it is shown: an hour on New York's clocks, active or not, and what is not recorded as that."""
    if value is None:
        return "not recorded"
    if dimension == "hour":
        return format_eastern(value, "%Y-%m-%d %H:00")
    if dimension == "active":
        return "active" if value else "inactive"
    return value


def format_size(size: int) -> str:
    """10 MiB, 1.2 GiB."""
    return f"{size / MIB:,.0f} MiB" if size < 1024 * MIB else f"{size / (1024 * MIB):,.1f} GiB"
