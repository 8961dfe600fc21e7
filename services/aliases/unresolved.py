"""Names that do not resolve: odds without a context row, how often, since when, and whether the player was simply out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.aliases.suggestions import Name, Proposal, propose
from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.query_catalog import Row
from services.names.normalization import disagree
from services.names.registry import Book, read_book
from services.names.resolution_counts import Effect, Effects, read_effects
from services.names.resolver import How, resolve
from services.nights.sources import context_order, newest

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


@dataclass(frozen=True)
class Met:
    """How the names of the odds met the context: those that did not, how many led by which way, how players stood."""

    unresolved: tuple[Row, ...]
    effects: Effects
    sources: tuple[Source, ...]
    standings: Callable[[Iterable[str]], Standings]


def read_names(cloud: Cloud, first: date, last: date) -> Names:
    """Names without a context row in `first`…`last`, with proposals; raises OnCallError when a table cannot be read."""
    book = read_book(cloud)
    met = read_of_one(cloud, first, book) if first == last else _read_of_several(cloud, first, last)
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in met.unresolved:
        grouped[row["player_lookup"]].append(row)
    asked = [Name(lookup, rows[-1]["player_name"], _teams(rows)) for lookup, rows in grouped.items()]
    proposed = propose(asked, book)
    likely = {lookup: _alias(rows) or _first(proposed[lookup]) for lookup, rows in grouped.items()}
    standing = met.standings(filter(None, likely.values()))
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
    return Names(ordered, met.effects, book, (*met.sources, *book.sources, *standing.sources))


def _read_of_several(cloud: Cloud, first: date, last: date) -> Met:
    """The same from the warehouse, which counts several nights in its questions."""
    effects = read_effects(cloud, first, last)
    answer = catalog.run(cloud, "aliases.unresolved", first_date=first, last_date=last)
    return Met(
        answer.rows,
        effects,
        (answer.source, effects.source),
        lambda lookups: read_standings(cloud, lookups, first, last),
    )


def read_of_one(cloud: Cloud, day: date, book: Book) -> Met:
    """Which names of one night's odds meet nobody: from the lists that the night itself is read from, so it costs nothing more."""
    context, odds = catalog.run(cloud, "night.context", game_date=day), catalog.run(cloud, "night.odds", game_date=day)
    there = newest(context.rows, context_order)
    lined = {row["player_lookup"]: row for row in odds.rows if row["player_lookup"] is not None}
    led = {name: resolve(name, there, book.active) for name in sorted(lined)}
    ways = Counter(each.how for each in led.values())
    rows = tuple(
        {
            "game_date": day,
            "player_lookup": name,
            "player_name": lined[name]["player_name"] or name,
            "away_team": lined[name]["away_team_abbr"],
            "home_team": lined[name]["home_team_abbr"],
            "alias_canonical": each.lookup,
        }
        for name, each in led.items()
        if each.how is not How.EXACT
    )
    effect = Effect(ways[How.EXACT], ways[How.ALIAS], ways[How.UNRESOLVED])
    return Met(
        rows,
        Effects({day: effect} if lined else {}, odds.source),
        (context.source, odds.source),
        lambda lookups: Standings({who: {day: _stood(there[who])} for who in lookups if who in there}),
    )


def _stood(row: Row) -> Standing:
    minutes = row["avg_minutes_per_game_last_7"]
    return Standing(row["player_status"], None if minutes is None else float(minutes), row["is_production_ready"])


@dataclass(frozen=True)
class Standings:
    by_lookup: Mapping[str, Mapping[date, Standing]]
    sources: tuple[Source, ...] = ()


def read_standings(cloud: Cloud, lookups: Iterable[str], first: date, last: date) -> Standings:
    """How these players stood in the context, by date; of nobody, nothing is asked."""
    wanted = sorted(set(lookups))
    if not wanted:
        return Standings({})
    answer = catalog.run(cloud, "aliases.standing", lookups=wanted, first_date=first, last_date=last)
    found: dict[str, dict[date, Standing]] = defaultdict(dict)
    for row in answer.rows:
        found[row["player_lookup"]][row["game_date"]] = Standing(row["status"], row["minutes"], row["ready"])
    return Standings(found, (answer.source,))


def _teams(rows: list[Row]) -> frozenset[str]:
    return frozenset(team for row in rows for team in (row["away_team"], row["home_team"]) if team)


def _alias(rows: list[Row]) -> str | None:
    return next((row["alias_canonical"] for row in reversed(rows) if row["alias_canonical"]), None)


def _first(proposals: tuple[Proposal, ...]) -> str | None:
    return proposals[0].lookup if proposals else None
