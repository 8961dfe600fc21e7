"""The name registry: every alias and every registered player, as the customer's tables have them now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any, TypedDict, cast

from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads


@dataclass(frozen=True)
class Alias:
    """One row of player_aliases: while it is active, `alias` in the odds means `canonical`."""

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
        """Each active alias with its canonical names; more than one is an error that validation reports."""
        return active_aliases(vars(alias) for alias in self.aliases)

    @cached_property
    def alias_counts(self) -> Counter[str]:
        """How many active aliases each canonical name has."""
        return Counter(canonical for canonicals in self.active.values() for canonical in canonicals)

    def player_ids(self, lookup: str) -> frozenset[str]:
        return frozenset(row.player_id for row in self.by_lookup.get(lookup, ()) if row.player_id)

    def display_name(self, lookup: str) -> str:
        """A registered player's name as people write it; the lookup itself for one that is not registered."""
        rows = self.by_lookup.get(lookup, ())
        return rows[0].name if rows else lookup


def active_aliases(rows: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[str]]:
    """Each active alias with its canonical names, from the rows of the query `aliases.all`."""
    canonicals_by_alias: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["active"] and row["alias"] and row["canonical"]:
            canonicals_by_alias[row["alias"]].add(row["canonical"])
    return {alias: frozenset(canonicals) for alias, canonicals in canonicals_by_alias.items()}


class _AliasRow(TypedDict):
    """A row of the query aliases.all."""

    alias: str | None
    canonical: str | None
    active: bool | None
    alias_display: str | None
    canonical_display: str | None
    kind: str | None
    source: str | None
    notes: str | None
    created_by: str | None
    created_at: datetime | None
    processed_at: datetime | None


class _RegistryQueryRow(TypedDict):
    """A row of the query registry.all."""

    player_id: str | None
    name: str | None
    player_lookup: str | None
    team: str | None
    season: str | None
    games: int | None
    jersey: int | None
    position: str | None
    first_game: date | None
    last_game: date | None


def read_registry(clients: Clients) -> NameRegistry:
    """Every alias and every registered player; raises OnCallError when either table cannot be read."""
    with concurrent_reads() as pool:
        asked_aliases = query_catalog.submit_query(pool, clients, "aliases.all")
        asked_registry = query_catalog.submit_query(pool, clients, "registry.all")
    alias_result, registry_result = asked_aliases.result(), asked_registry.result()
    alias_rows = cast(tuple[_AliasRow, ...], alias_result.rows)
    registry_rows = cast(tuple[_RegistryQueryRow, ...], registry_result.rows)
    return NameRegistry(
        tuple(sorted(filter(None, map(_to_alias, alias_rows)), key=lambda alias: alias.pair)),
        tuple(sorted(filter(None, map(_to_registry_row, registry_rows)), key=_registry_sort_key)),
        (alias_result.source, registry_result.source),
    )


def _to_alias(row: _AliasRow) -> Alias | None:
    """One row, with what a live table leaves empty filled from what it has; None without both names."""
    if not row["alias"] or not row["canonical"]:
        return None
    return Alias(
        alias=row["alias"],
        canonical=row["canonical"],
        active=bool(row["active"]),
        alias_display=row["alias_display"] or row["alias"],
        canonical_display=row["canonical_display"] or row["canonical"],
        kind=row["kind"],
        source=row["source"],
        notes=row["notes"],
        created_by=row["created_by"] or "",
        created_at=row["created_at"],
        processed_at=row["processed_at"],
    )


def _to_registry_row(row: _RegistryQueryRow) -> RegistryRow | None:
    """One row, with what a live table leaves empty filled from what it has; None without a lookup."""
    if not row["player_lookup"]:
        return None
    return RegistryRow(
        player_id=row["player_id"],
        name=row["name"] or row["player_lookup"],
        lookup=row["player_lookup"],
        team=row["team"] or "",
        season=row["season"] or "",
        games=row["games"],
        jersey=row["jersey"],
        position=row["position"],
        first_game=row["first_game"],
        last_game=row["last_game"],
    )


def _registry_sort_key(row: RegistryRow) -> tuple[str, str, str]:
    return row.lookup, row.season, row.team


class AliasRecord(TypedDict):
    """One alias as JSON-ready values, as the action log records it; times in ISO format."""

    alias: str
    canonical: str
    active: bool
    alias_display: str
    canonical_display: str
    kind: str | None
    source: str | None
    notes: str | None
    created_by: str
    created_at: str | None
    processed_at: str | None


def alias_to_dict(alias: Alias) -> AliasRecord:
    """One alias for the action log and for the statement that writes it."""
    values = {k: value.isoformat() if isinstance(value, datetime) else value for k, value in asdict(alias).items()}
    return cast(AliasRecord, values)
