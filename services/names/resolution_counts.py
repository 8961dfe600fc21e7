"""What the aliases are good for: names of the odds that lead into the context by themselves, through an alias, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud


@dataclass(frozen=True)
class Effect:
    """Names of the odds on one date, or on several together, by the way they lead."""

    exact: int
    by_alias: int
    unresolved: int

    @property
    def names(self) -> int:
        return self.exact + self.by_alias + self.unresolved

    def __add__(self, other: Effect) -> Effect:
        return Effect(self.exact + other.exact, self.by_alias + other.by_alias, self.unresolved + other.unresolved)


@dataclass(frozen=True)
class Effects:
    """The effect on each date that has odds."""

    by_date: Mapping[date, Effect]
    source: Source

    @property
    def together(self) -> Effect:
        return sum(self.by_date.values(), Effect(0, 0, 0))


def read_effects(cloud: Cloud, first: date, last: date) -> Effects:
    """How the names of the odds lead on each date from `first` to `last`; raises OnCallError."""
    answer = catalog.run(cloud, "aliases.effect", first_date=first, last_date=last)
    counts = {row["game_date"]: Effect(row["exact"], row["by_alias"], row["unresolved"]) for row in answer.rows}
    return Effects(counts, answer.source)
