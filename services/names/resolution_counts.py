"""How the names of the odds resolve, by date: exactly, through an alias, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients


@dataclass(frozen=True)
class ResolutionCounts:
    """Names of the odds on one date, or on several together, by resolution method."""

    exact: int
    by_alias: int
    unresolved: int

    @property
    def name_count(self) -> int:
        return self.exact + self.by_alias + self.unresolved

    def __add__(self, other: ResolutionCounts) -> ResolutionCounts:
        return ResolutionCounts(
            self.exact + other.exact, self.by_alias + other.by_alias, self.unresolved + other.unresolved
        )


@dataclass(frozen=True)
class CountsByDate:
    """The counts of each date that has odds."""

    by_date: Mapping[date, ResolutionCounts]
    source: DataSource

    @property
    def total(self) -> ResolutionCounts:
        return sum(self.by_date.values(), ResolutionCounts(0, 0, 0))


def read_resolution_counts(clients: Clients, first: date, last: date) -> CountsByDate:
    """How the names of the odds resolve on each date from `first` to `last`; raises OnCallError."""
    result = query_catalog.run_query(clients, "aliases.resolution_counts", first_date=first, last_date=last)
    counts = {
        row["game_date"]: ResolutionCounts(row["exact"], row["by_alias"], row["unresolved"]) for row in result.rows
    }
    return CountsByDate(counts, result.source)
