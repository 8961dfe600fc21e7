"""What an alias would change: which players of which dates would newly match their odds, and their status then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.actions.plan import Change, Guard
from services.aliases.unresolved import NameStatus, UnresolvedRow, read_player_statuses, read_unresolved_rows
from services.core.clock import to_game_date
from services.core.errors import OnCallError
from services.core.result import DataSource
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.names.registry import NameRegistry
from services.names.resolver import ResolutionMethod, resolve

PREVIEW_WINDOW_DAYS = 14
MAX_PREVIEW_ROWS = 30


@dataclass(frozen=True)
class CoverageGain:
    """Names of the odds that the changed registry would resolve and the present one does not, by date."""

    changes: tuple[Change, ...] = ()
    guards: tuple[Guard, ...] = ()
    sources: tuple[DataSource, ...] = ()
    warnings: tuple[str, ...] = ()


def preview_coverage_gain(clients: Clients, before: NameRegistry, after: NameRegistry, now: datetime) -> CoverageGain:
    """Resolves the last two weeks with both registries. What cannot be read becomes a warning, not an empty result."""
    last = to_game_date(now) + timedelta(days=1)
    first = last - timedelta(days=PREVIEW_WINDOW_DAYS)
    try:
        rows, source = read_unresolved_rows(clients, first, last)
        newly_resolved = list(_newly_resolved(rows, before, after))
        statuses = read_player_statuses(clients, {canonical for _, canonical in newly_resolved}, first, last)
    except OnCallError as error:
        return CoverageGain(warnings=(f"What it would cover is unknown: {error.message}",))
    rows_with_status = [
        (row, canonical, statuses.by_lookup.get(canonical, {}).get(row["game_date"]))
        for row, canonical in newly_resolved
    ]
    matched = sum(status is not None for _, _, status in rows_with_status)
    message = f"Would match {pluralize(matched, 'more player-date')} in the last {PREVIEW_WINDOW_DAYS} days."
    if len(rows_with_status) > MAX_PREVIEW_ROWS:
        message += f" The first {MAX_PREVIEW_ROWS} of {len(rows_with_status):,} changes are listed."
    return CoverageGain(
        tuple(_to_change(*entry) for entry in rows_with_status[:MAX_PREVIEW_ROWS]),
        (Guard("what it would cover", True, message),),
        (source, *statuses.sources),
        tuple(_wrong_team_warnings(rows_with_status, after)),
    )


def _newly_resolved(
    rows: tuple[UnresolvedRow, ...], before: NameRegistry, after: NameRegistry
) -> Iterator[tuple[UnresolvedRow, str]]:
    """(row, new canonical) of unresolved rows that resolve differently after the edit.

    None of these names is in the context of its date, so a registry entry of the same name does not count.
    """
    for row in rows:
        name = row["player_lookup"]
        known_lookups = after.lookups - {name} if name in after.lookups else after.lookups
        old_resolution, new_resolution = (resolve(name, known_lookups, registry.active) for registry in (before, after))
        canonical = new_resolution.lookup if new_resolution.method is ResolutionMethod.ALIAS else None
        if canonical and canonical != old_resolution.lookup:
            yield row, canonical


def _to_change(row: UnresolvedRow, canonical: str, status: NameStatus | None) -> Change:
    outcome = f"{canonical}: not in the context of that date"
    if status:
        outcome = f"{canonical} ({status.description})"
    return Change(f"{row['player_lookup']}, {row['game_date']:%-d %b}", "unmatched", outcome)


def _wrong_team_warnings(
    rows_with_status: list[tuple[UnresolvedRow, str, NameStatus | None]], registry: NameRegistry
) -> Iterator[str]:
    """A canonical player whose teams did not play in the game that the odds were for is probably another person."""
    dates_by_mismatch: dict[tuple[str, str, str], list[date]] = defaultdict(list)
    for row, canonical, status in rows_with_status:
        teams = {registry_row.team for registry_row in registry.by_lookup.get(canonical, ())}
        if status is None and teams and not teams & {row["away_team"], row["home_team"]}:
            dates_by_mismatch[row["player_lookup"], canonical, "/".join(sorted(teams))].append(row["game_date"])
    for (name, canonical, player_teams), days in dates_by_mismatch.items():
        date_text = ", ".join(f"{day:%-d %b}" for day in days[:3])
        yield f"{name} has odds for {date_text}, when {canonical} ({player_teams}) did not play."
