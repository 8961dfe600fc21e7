"""The book of names: every alias and every registered player, as the customer's tables have them now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients


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
class RegistryRow:
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
class NameRegistry:
    """All names at one moment."""

    aliases: tuple[Alias, ...]
    registered: tuple[RegistryRow, ...]
    sources: tuple[DataSource, ...] = field(default=(), compare=False)

    @cached_property
    def lookups(self) -> frozenset[str]:
        return frozenset(row.lookup for row in self.registered)

    @cached_property
    def by_lookup(self) -> Mapping[str, tuple[RegistryRow, ...]]:
        rows_by_lookup: dict[str, list[RegistryRow]] = defaultdict(list)
        for row in self.registered:
            rows_by_lookup[row.lookup].append(row)
        return {lookup: tuple(rows) for lookup, rows in rows_by_lookup.items()}

    @cached_property
    def active(self) -> Mapping[str, frozenset[str]]:
        """Each active alias with its canonical names; more than one is a fault that a check names."""
        return active_aliases(vars(alias) for alias in self.aliases)

    @cached_property
    def alias_counts(self) -> Counter[str]:
        """How many active aliases lead to each name."""
        return Counter(canonical for canonicals in self.active.values() for canonical in canonicals)

    def player_ids(self, lookup: str) -> frozenset[str]:
        return frozenset(row.player_id for row in self.by_lookup.get(lookup, ()) if row.player_id)

    def display_name(self, lookup: str) -> str:
        """A registered player's name as people write it; the lookup itself for one that is not registered."""
        rows = self.by_lookup.get(lookup, ())
        return rows[0].name if rows else lookup


def active_aliases(rows: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Each active alias with its canonical names, from the rows of the question `aliases.all`."""
    canonicals_by_alias: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["active"] and row["alias"] and row["canonical"]:
            canonicals_by_alias[row["alias"]].add(row["canonical"])
    return {alias: frozenset(canonicals) for alias, canonicals in canonicals_by_alias.items()}


def read_registry(clients: Clients) -> NameRegistry:
    """Every alias and every registered player; raises OnCallError when either table cannot be read."""
    alias_result, registry_result = (
        query_catalog.run_query(clients, "aliases.all"),
        query_catalog.run_query(clients, "registry.all"),
    )
    return NameRegistry(
        tuple(
            sorted(
                (_to_alias(row) for row in alias_result.rows if row["alias"] and row["canonical"]), key=lambda a: a.pair
            )
        ),
        tuple(sorted((_to_registry_row(row) for row in registry_result.rows if row["lookup"]), key=_registry_sort_key)),
        (alias_result.source, registry_result.source),
    )


def _to_alias(row: Mapping[str, Any]) -> Alias:
    """One row; what a live table leaves empty is told by what it has."""
    defaults = {
        "active": bool(row["active"]),
        "alias_display": row["alias_display"] or row["alias"],
        "canonical_display": row["canonical_display"] or row["canonical"],
        "created_by": row["created_by"] or "",
    }
    return Alias(**{**row, **defaults})


def _to_registry_row(row: Mapping[str, Any]) -> RegistryRow:
    defaults = {"name": row["name"] or row["lookup"], "team": row["team"] or "", "season": row["season"] or ""}
    return RegistryRow(**{**row, **defaults})


def _registry_sort_key(row: RegistryRow) -> tuple[str, str, str]:
    return row.lookup, row.season, row.team


def alias_to_dict(alias: Alias) -> dict[str, Any]:
    """One alias as plain values, for the record and for the statement that writes it."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(alias).items()}
