"""Names that do not resolve: odds without a context row, how often, since when, and whether the player was simply out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.reading import Source
from services.names.book import Book, read_book
from services.names.effect import Effects, read_effects
from services.names.lookups import disagree
from services.names.proposals import Name, Proposal, propose

OUT = ("OUT", "DOUBTFUL")
ROWS_A_NIGHT = 25  # five systems × five lines: what one player has of one night at most


@dataclass(frozen=True)
class Standing:
    """How a player stood in the context of one date."""

    status: str | None
    minutes: float | None
    ready: bool | None

    @property
    def out(self) -> bool:
        return (self.status or "").upper() in OUT

    @property
    def sentence(self) -> str:
        minutes = "minutes unknown" if self.minutes is None else f"{self.minutes:.1f} minutes"
        ready = "" if self.ready else ", not production-ready"
        return f"{self.status or 'status unknown'}, {minutes}{ready}"


@dataclass(frozen=True)
class Unresolved:
    """One name of the odds that met no context row, on these dates."""

    lookup: str
    name: str
    teams: frozenset[str]
    dates: tuple[date, ...]
    alias_canonical: str | None  # where an active alias leads, if to a player in the context of that date
    proposals: tuple[Proposal, ...]
    standings: Mapping[date, Standing]  # of the alias's or the best proposal's player

    @property
    def likely(self) -> str | None:
        """Whom it probably means."""
        return self.alias_canonical or (self.proposals[0].lookup if self.proposals else None)

    @property
    def lost(self) -> int:
        """Dates on which it cost predictions: those on which the likely player was not out."""
        return sum(not (day in self.standings and self.standings[day].out) for day in self.dates)

    @property
    def predictions_lost(self) -> int:
        """At most: as if each of those nights had given every system and line."""
        return self.lost * ROWS_A_NIGHT

    @property
    def says(self) -> str:
        """What it comes down to, in words."""
        if self.likely and self.dates and not self.lost:
            return f"{self.likely} was out: nothing lost"
        if self.alias_canonical:
            return f"an alias leads to {self.alias_canonical}; the odds do not use it"
        if self.proposals:
            return f"no alias; likely {self.likely}"
        return "no alias, and nobody in the registry is like it"

    @property
    def rules_disagree(self) -> bool:
        return disagree(self.name)


@dataclass(frozen=True)
class Names:
    """Every name that did not resolve between two dates, the costliest first, and how many lined names there were not."""

    unresolved: tuple[Unresolved, ...]
    effects: Effects
    book: Book
    sources: tuple[Source, ...]


def read_names(cloud: Cloud, first: date, last: date) -> Names:
    """Names without a context row in `first`…`last`, with proposals; raises OnCallError when a table cannot be read."""
    book, effects = read_book(cloud), read_effects(cloud, first, last)
    answer = catalog.run(cloud, "aliases.unresolved", from_date=first, to_date=last)
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in answer.rows:
        grouped[row["player_lookup"]].append(row)
    asked = [Name(lookup, rows[-1]["player_name"], _teams(rows)) for lookup, rows in grouped.items()]
    proposed = propose(asked, book)
    likely = {lookup: _alias(rows) or _first(proposed[lookup]) for lookup, rows in grouped.items()}
    standing = read_standings(cloud, filter(None, likely.values()), first, last)
    found = [
        Unresolved(
            one.lookup,
            one.name,
            one.teams,
            tuple(row["game_date"] for row in grouped[one.lookup]),
            _alias(grouped[one.lookup]),
            proposed[one.lookup],
            standing.by_lookup.get(likely[one.lookup] or "", {}),
        )
        for one in asked
    ]
    ordered = tuple(sorted(found, key=lambda u: (-u.lost, -len(u.dates), u.lookup)))
    return Names(ordered, effects, book, (answer.source, effects.source, *book.sources, *standing.sources))


@dataclass(frozen=True)
class Standings:
    by_lookup: Mapping[str, Mapping[date, Standing]]
    sources: tuple[Source, ...] = ()


def read_standings(cloud: Cloud, lookups: Iterable[str], first: date, last: date) -> Standings:
    """How these players stood in the context, by date; of nobody, nothing is asked."""
    wanted = sorted(set(lookups))
    if not wanted:
        return Standings({})
    answer = catalog.run(cloud, "aliases.standing", lookups=wanted, from_date=first, to_date=last)
    found: dict[str, dict[date, Standing]] = defaultdict(dict)
    for row in answer.rows:
        found[row["player_lookup"]][row["game_date"]] = Standing(row["status"], row["minutes"], row["ready"])
    return Standings(found, (answer.source,))


def _teams(rows: list[dict[str, Any]]) -> frozenset[str]:
    return frozenset(team for row in rows for team in (row["away_team"], row["home_team"]) if team)


def _alias(rows: list[dict[str, Any]]) -> str | None:
    return next((row["alias_canonical"] for row in reversed(rows) if row["alias_canonical"]), None)


def _first(proposals: tuple[Proposal, ...]) -> str | None:
    return proposals[0].lookup if proposals else None
