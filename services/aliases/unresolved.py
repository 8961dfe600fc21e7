"""Unresolved names: odds without a context row, on which dates, whom they probably mean, and whether that player was out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypedDict, cast

from services.aliases.suggestions import Suggestion, UnresolvedName, suggest
from services.core.result import DataSource
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.query_catalog import Row
from services.names.normalization import normalizations_differ
from services.names.registry import NameRegistry, read_registry
from services.names.resolution_counts import CountsByDate, ResolutionCounts, read_resolution_counts
from services.names.resolver import ResolutionMethod, resolve
from services.nights.players import context_sort_key, latest_per_player
from services.policy.eligibility import is_ineligible_status

MAX_ROWS_PER_PLAYER_NIGHT = 25  # five systems × five lines: what one player has of one night at most


class UnresolvedRow(TypedDict):
    """A row of the query aliases.unresolved: a name of one date's odds that matched no context row."""

    game_date: date
    player_lookup: str
    player_name: str
    away_team: str | None
    home_team: str | None
    alias_canonical: str | None  # the target of a usable alias


@dataclass(frozen=True)
class NameStatus:
    """A player's status in the context of one date."""

    status: str | None
    minutes: float | None
    ready: bool | None

    @property
    def is_out(self) -> bool:
        return is_ineligible_status(self.status)

    @property
    def description(self) -> str:
        minutes = "minutes unknown" if self.minutes is None else f"{self.minutes:.1f} min avg"
        ready = "" if self.ready else ", not production-ready"
        return f"{self.status or 'status unknown'}, {minutes}{ready}"


class NameGroup(StrEnum):
    """What has to be done about an unmatched name."""

    NEEDS_ALIAS = "needs alias"
    NOT_APPLIED = "alias exists, not applied"
    OUT = "out, no impact"


@dataclass(frozen=True)
class UnresolvedNameDetails:
    """One name of the odds that matched no context row, on these dates."""

    lookup: str
    name: str
    teams: frozenset[str]
    dates: tuple[date, ...]
    alias_canonical: str | None  # where an active alias leads, if to a player in the context of that date
    suggestions: tuple[Suggestion, ...]
    status_by_date: Mapping[date, NameStatus]  # of the player that the alias or the best suggestion leads to

    @property
    def likely_lookup(self) -> str | None:
        """Whom it probably means."""
        return self.alias_canonical or (self.suggestions[0].lookup if self.suggestions else None)

    @property
    def nights_lost(self) -> int:
        """Dates on which it may have cost predictions: those on which the likely player was not out."""
        return sum(not (day in self.status_by_date and self.status_by_date[day].is_out) for day in self.dates)

    @property
    def max_predictions_lost(self) -> int:
        """At most: as if each of those nights had given every system and line."""
        return self.nights_lost * MAX_ROWS_PER_PLAYER_NIGHT

    @property
    def group(self) -> NameGroup:
        """What has to be done about it."""
        if self.likely_lookup and self.dates and not self.nights_lost:
            return NameGroup.OUT
        return NameGroup.NOT_APPLIED if self.alias_canonical else NameGroup.NEEDS_ALIAS

    @property
    def has_normalization_mismatch(self) -> bool:
        return normalizations_differ(self.name)


@dataclass(frozen=True)
class NameResolutionReport:
    """Every name that did not resolve between two dates, the costliest first, and how many names with odds there were not."""

    unresolved: tuple[UnresolvedNameDetails, ...]
    resolution_counts: CountsByDate
    registry: NameRegistry
    sources: tuple[DataSource, ...]

    def in_group(self, group: NameGroup) -> tuple[UnresolvedNameDetails, ...]:
        """The names of one group, the costliest first."""
        return tuple(name for name in self.unresolved if name.group is group)


@dataclass(frozen=True)
class OddsMatch:
    """How the names of the odds match the context: unresolved names, counts by resolution method, a reader of statuses."""

    unresolved: tuple[UnresolvedRow, ...]
    resolution_counts: CountsByDate
    sources: tuple[DataSource, ...]
    read_statuses: Callable[[Iterable[str]], StatusByDate]


def read_names(clients: Clients, first: date, last: date) -> NameResolutionReport:
    """Names without a context row in `first`…`last`, with suggestions; raises OnCallError when a table cannot be read."""
    with concurrent_reads() as pool:
        asked_registry = pool.submit(read_registry, clients)
        if first == last:
            asked_match = pool.submit(read_single_night, clients, first, asked_registry.result)
        else:
            asked_match = pool.submit(_read_date_range, clients, first, last)
    registry, odds_match = asked_registry.result(), asked_match.result()
    grouped: dict[str, list[UnresolvedRow]] = defaultdict(list)
    for row in odds_match.unresolved:
        grouped[row["player_lookup"]].append(row)
    unresolved_names = [
        UnresolvedName(lookup, rows[-1]["player_name"], _teams(rows)) for lookup, rows in grouped.items()
    ]
    suggestions = suggest(unresolved_names, registry)
    likely_lookups = {
        lookup: _alias_canonical(rows) or _top_suggestion(suggestions[lookup]) for lookup, rows in grouped.items()
    }
    statuses = odds_match.read_statuses(filter(None, likely_lookups.values()))
    details = [
        UnresolvedNameDetails(
            unresolved.lookup,
            unresolved.name,
            unresolved.teams,
            tuple(row["game_date"] for row in grouped[unresolved.lookup]),
            _alias_canonical(grouped[unresolved.lookup]),
            suggestions[unresolved.lookup],
            statuses.by_lookup.get(likely_lookups[unresolved.lookup] or "", {}),
        )
        for unresolved in unresolved_names
    ]
    ordered = tuple(sorted(details, key=lambda u: (-u.nights_lost, -len(u.dates), u.lookup)))
    return NameResolutionReport(
        ordered, odds_match.resolution_counts, registry, (*odds_match.sources, *registry.sources, *statuses.sources)
    )


def _read_date_range(clients: Clients, first: date, last: date) -> OddsMatch:
    """The same for several nights, counted by queries."""
    with concurrent_reads() as pool:
        asked_counts = pool.submit(read_resolution_counts, clients, first, last)
        asked_rows = pool.submit(read_unresolved_rows, clients, first, last)
    counts, (rows, source) = asked_counts.result(), asked_rows.result()
    return OddsMatch(
        rows,
        counts,
        (source, counts.source),
        lambda lookups: read_player_statuses(clients, lookups, first, last),
    )


def read_unresolved_rows(clients: Clients, first: date, last: date) -> tuple[tuple[UnresolvedRow, ...], DataSource]:
    """Names of the odds without a context row, a row per name and date; raises OnCallError."""
    result = query_catalog.run_query(clients, "aliases.unresolved", first_date=first, last_date=last)
    return cast(tuple[UnresolvedRow, ...], result.rows), result.source


def read_single_night(clients: Clients, day: date, registry: Callable[[], NameRegistry]) -> OddsMatch:
    """Which names of one night's odds match nobody, from the queries that the night itself is read with: no extra cost."""
    with concurrent_reads() as pool:
        asked_context = query_catalog.submit_query(pool, clients, "nights.context", game_date=day)
        asked_odds = query_catalog.submit_query(pool, clients, "nights.odds", game_date=day)
    active_aliases = registry().active
    context, odds = asked_context.result(), asked_odds.result()
    context_by_player = latest_per_player(context.rows, context_sort_key)
    odds_by_player = {row["player_lookup"]: row for row in odds.rows if row["player_lookup"] is not None}
    resolutions = {name: resolve(name, context_by_player, active_aliases) for name in sorted(odds_by_player)}
    method_counts = Counter(resolution.method for resolution in resolutions.values())
    rows: tuple[UnresolvedRow, ...] = tuple(
        {
            "game_date": day,
            "player_lookup": name,
            "player_name": odds_by_player[name]["player_name"] or name,
            "away_team": odds_by_player[name]["away_team_abbr"],
            "home_team": odds_by_player[name]["home_team_abbr"],
            "alias_canonical": resolution.lookup,
        }
        for name, resolution in resolutions.items()
        if resolution.method is not ResolutionMethod.EXACT
    )
    counts = ResolutionCounts(
        method_counts[ResolutionMethod.EXACT],
        method_counts[ResolutionMethod.ALIAS],
        method_counts[ResolutionMethod.UNRESOLVED],
    )
    return OddsMatch(
        rows,
        CountsByDate({day: counts} if odds_by_player else {}, odds.source),
        (context.source, odds.source),
        lambda lookups: StatusByDate(
            {lookup: {day: _status(context_by_player[lookup])} for lookup in lookups if lookup in context_by_player}
        ),
    )


def _status(row: Row) -> NameStatus:
    minutes = row["avg_minutes_per_game_last_7"]
    return NameStatus(row["player_status"], None if minutes is None else float(minutes), row["is_production_ready"])


@dataclass(frozen=True)
class StatusByDate:
    by_lookup: Mapping[str, Mapping[date, NameStatus]]
    sources: tuple[DataSource, ...] = ()


def read_player_statuses(clients: Clients, lookups: Iterable[str], first: date, last: date) -> StatusByDate:
    """The status of these players in the context, by date; for no players, no query is run."""
    unique_lookups = sorted(set(lookups))
    if not unique_lookups:
        return StatusByDate({})
    result = query_catalog.run_query(
        clients, "aliases.player_status", lookups=unique_lookups, first_date=first, last_date=last
    )
    status_by_lookup: dict[str, dict[date, NameStatus]] = defaultdict(dict)
    for row in result.rows:
        status_by_lookup[row["player_lookup"]][row["game_date"]] = NameStatus(
            row["status"], row["minutes"], row["production_ready"]
        )
    return StatusByDate(status_by_lookup, (result.source,))


def _teams(rows: list[UnresolvedRow]) -> frozenset[str]:
    return frozenset(team for row in rows for team in (row["away_team"], row["home_team"]) if team)


def _alias_canonical(rows: list[UnresolvedRow]) -> str | None:
    return next((row["alias_canonical"] for row in reversed(rows) if row["alias_canonical"]), None)


def _top_suggestion(suggestions: tuple[Suggestion, ...]) -> str | None:
    return suggestions[0].lookup if suggestions else None
