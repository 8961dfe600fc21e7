"""The book of names: every alias and every registered player, as the customer's tables have them now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from services.core.result import Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud


@dataclass(frozen=True)
class Alias:
    """One row of player_aliases; `when active`, odds that say `alias` mean `canonical`."""

    alias: str
    canonical: str
    active: bool
    alias_display: str = ""
    canonical_display: str = ""
    kind: str | None = None
    source: str | None = None
    notes: str | None = None
    created_by: str = ""
    created_at: datetime | None = None
    processed_at: datetime | None = None

    @property
    def pair(self) -> tuple[str, str]:
        return self.alias, self.canonical


@dataclass(frozen=True)
class Registered:
    """One row of the registry: a player on a team in a season."""

    player_id: str | None
    name: str
    lookup: str
    team: str
    season: str
    games: int | None = None
    jersey: int | None = None
    position: str | None = None
    first_game: date | None = None
    last_game: date | None = None


@dataclass(frozen=True)
class Book:
    """All names at one moment."""

    aliases: tuple[Alias, ...]
    registered: tuple[Registered, ...]
    sources: tuple[Source, ...] = field(default=(), compare=False)

    @cached_property
    def lookups(self) -> frozenset[str]:
        return frozenset(each.lookup for each in self.registered)

    @cached_property
    def by_lookup(self) -> Mapping[str, tuple[Registered, ...]]:
        found: dict[str, list[Registered]] = defaultdict(list)
        for each in self.registered:
            found[each.lookup].append(each)
        return {lookup: tuple(rows) for lookup, rows in found.items()}

    @cached_property
    def active(self) -> Mapping[str, frozenset[str]]:
        """Each active alias with its canonical names; more than one is a fault that a check names."""
        return active_aliases(vars(each) for each in self.aliases)

    @cached_property
    def aliases_to(self) -> Counter[str]:
        """How many active aliases lead to each name."""
        return Counter(canonical for canonicals in self.active.values() for canonical in canonicals)

    def ids(self, lookup: str) -> frozenset[str]:
        return frozenset(each.player_id for each in self.by_lookup.get(lookup, ()) if each.player_id)

    def display(self, lookup: str) -> str:
        """A registered player's name as people write it; the lookup itself for one that is not registered."""
        rows = self.by_lookup.get(lookup, ())
        return rows[0].name if rows else lookup


def active_aliases(rows: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Each active alias with its canonical names, from the rows of the question `aliases.book`."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["active"] and row["alias"] and row["canonical"]:
            found[row["alias"]].add(row["canonical"])
    return {alias: frozenset(canonicals) for alias, canonicals in found.items()}


def read_book(cloud: Cloud) -> Book:
    """Every alias and every registered player; raises OnCallError when either table cannot be read."""
    aliases, registry = catalog.run(cloud, "aliases.book"), catalog.run(cloud, "registry.book")
    return Book(
        tuple(sorted((_alias(row) for row in aliases.rows if row["alias"] and row["canonical"]), key=lambda a: a.pair)),
        tuple(sorted((_registered(row) for row in registry.rows if row["lookup"]), key=_order)),
        (aliases.source, registry.source),
    )


def _alias(row: Mapping[str, Any]) -> Alias:
    """One row; what a live table leaves empty is told by what it has."""
    shown = {
        "active": bool(row["active"]),
        "alias_display": row["alias_display"] or row["alias"],
        "canonical_display": row["canonical_display"] or row["canonical"],
        "created_by": row["created_by"] or "",
    }
    return Alias(**{**row, **shown})


def _registered(row: Mapping[str, Any]) -> Registered:
    shown = {"name": row["name"] or row["lookup"], "team": row["team"] or "", "season": row["season"] or ""}
    return Registered(**{**row, **shown})


def _order(each: Registered) -> tuple[str, str, str]:
    return each.lookup, each.season, each.team


def as_row(alias: Alias) -> dict[str, Any]:
    """One alias as plain values, for the record and for the statement that writes it."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(alias).items()}
