"""Coverage: how many players reach each stage, by date, with every denominator named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import cast

from services.batches.reader import read_batches
from services.batches.state import IN_PROGRESS_STATES
from services.core.clock import list_days, to_game_date
from services.core.errors import OnCallError
from services.core.result import DataSource, Health
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.names.resolution_counts import ResolutionCounts
from services.nights.player_stages import NightStatus, PlayerStatus, Stage
from services.nights.rows import CoverageRow
from services.policy.coverage_thresholds import classify_coverage
from services.policy.eligibility import eligibility_params
from services.telemetry.dml_jobs import DmlReport

MIN_DIRECT_WRITES = 10  # fewer statements may be as many consolidations


@dataclass(frozen=True)
class Funnel:
    """Players per stage of one game date; None where the stage's source could not be read."""

    game_date: date
    players: dict[Stage, int | None]
    notes: Mapping[Stage, str] = field(default_factory=dict)  # why a stage has no count, or what it leaves out
    rows: Mapping[Stage, int | None] = field(default_factory=dict)  # of all its players; None: not known


@dataclass(frozen=True)
class NightCoverage:
    """One game date of the history. Percentages are None when their denominator is 0 or unknown."""

    game_date: date
    games: int
    with_odds: int
    in_context: int
    eligible: int
    active: int
    active_rows: int
    by_system: tuple[tuple[str, int, int], ...]  # (system_id, players active, rows active)
    health: Health
    resolution_counts: ResolutionCounts | None = None  # how names with odds resolved into the context; None: unknown
    pending: str = ""  # why its missing players may still come: "not run yet", "running"; or that it is "unknown"

    @property
    def state(self) -> str:
        """Its health in a word, or why that is unknown."""
        return self.pending or str(self.health)

    def active_pct(self, denominator: int) -> float | None:
        """Active players as a percentage of a denominator."""
        return 100 * self.active / denominator if denominator else None


@dataclass(frozen=True)
class CoverageHistory:
    days: tuple[NightCoverage, ...]
    sources: tuple[DataSource, ...]


def funnel(night: NightStatus, writes: DmlReport | None = None) -> Funnel:
    """Count a night's players by stage. Stages from eligible on count eligible players; staged is None where that is not known.

    `writes` are the statements of the night's runs, which show whether workers wrote without staging.
    """
    eligible = night.eligible_players
    staged, note = _count_staged(night, writes)
    players = {
        Stage.WITH_ODDS: sum(bool(p.has_odds) for p in night.players),
        Stage.IN_CONTEXT: sum(bool(p.in_context) for p in night.players),
        Stage.ELIGIBLE: len(eligible),
        Stage.REQUESTED: _count_reached(eligible, [p.requested for p in eligible]),
        Stage.GENERATED: _count_reached(eligible, [p.generated_rows for p in eligible]),
        Stage.STAGED: staged,
        Stage.WRITTEN: _count_reached(eligible, [p.written_rows for p in eligible]),
        Stage.ACTIVE: _count_reached(eligible, [p.active_rows for p in eligible]),
    }
    rows = {Stage.GENERATED: night.generated_rows, Stage.ACTIVE: night.active_rows}
    return Funnel(night.game_date, players, {Stage.STAGED: note} if note else {}, rows)


def _count_staged(night: NightStatus, writes: DmlReport | None) -> tuple[int | None, str]:
    """Players who were staged, and what is known of the others who are written.

    None where the evidence of one is gone (his table was dropped, or he was written directly) or was not read.
    """
    if night.was_run is False:
        return 0, ""
    players = night.eligible_players
    staged = sum(bool(p.staged_rows) for p in players)
    unstaged = _count_unstaged(players)
    direct = wrote_directly(night, writes)
    if not staged:
        return None, "not used: direct writes" if direct else ""
    if (unstaged and not direct) or any(p.staged_rows is None for p in players):
        return None, ""
    return staged, f"{unstaged:,} written directly" if unstaged else ""


def _count_unstaged(players: Sequence[PlayerStatus]) -> int:
    return sum(bool(player.written_rows) and not player.staged_rows for player in players)


def wrote_directly(night: NightStatus, writes: DmlReport | None) -> bool:
    """Whether workers are known to have written without staging: by the log, or by as many statements as players."""
    if night.wrote_directly:
        return True
    return writes is not None and _is_a_statement_for_each(_count_unstaged(night.eligible_players), writes)


def _is_a_statement_for_each(players: int, writes: DmlReport) -> bool:
    """Whether workers ran the statements: a consolidation is one for a whole batch."""
    accepted = sum(attempt.ok is True for attempt in writes.attempts)
    return accepted >= max(MIN_DIRECT_WRITES, players)


def _count_reached(players: Sequence[PlayerStatus], values: list[bool | None] | list[int | None]) -> int | None:
    """How many are known to have reached a stage; None as soon as one of them is unknown."""
    return None if any(value is None for value in values) and players else sum(bool(value) for value in values)


def read_history(clients: Clients, first: date, last: date) -> CoverageHistory:
    """Coverage of each date from `first` to `last`, days without games included; a date not run yet is unknown, not 0 %."""
    result = query_catalog.run_query(
        clients, "nights.coverage_history", first_date=first, last_date=last, **eligibility_params()
    )
    coverage_rows = cast("tuple[CoverageRow, ...]", result.rows)
    by_system: dict[date, list[tuple[str, int, int]]] = defaultdict(list)
    for row in coverage_rows:
        if row["system_id"] is not None:
            by_system[row["game_date"]].append((row["system_id"], row["system_players"], row["system_rows"]))
    rows = {row["game_date"]: row for row in coverage_rows}
    days = list_days(first, last)
    return CoverageHistory(
        tuple(_to_night_coverage(clients, day, rows.get(day), tuple(by_system[day])) for day in days),
        (result.source,),
    )


def _to_night_coverage(
    clients: Clients, day: date, row: CoverageRow | None, by_system: tuple[tuple[str, int, int], ...]
) -> NightCoverage:
    if row is None:
        return NightCoverage(day, 0, 0, 0, 0, 0, 0, (), Health.NONE_EXPECTED)
    health = classify_coverage(row["active"], row["eligible"], row["games"], clients.settings)
    pending = _describe_pending(clients, row)
    return NightCoverage(
        game_date=day,
        games=row["games"],
        with_odds=row["with_odds"],
        in_context=row["in_context"],
        eligible=row["eligible"],
        active=row["active"],
        active_rows=row["rows_active"],
        by_system=by_system,
        health=Health.UNKNOWN if pending else health,
        pending=pending,
        resolution_counts=ResolutionCounts(row["names_exact"], row["names_by_alias"], row["names_unresolved"]),
    )


def _describe_pending(clients: Clients, row: CoverageRow) -> str:
    """Why the missing players of a night may still come, as the players' statement of the judgement has it; "" where not."""
    if not _may_be_run(row["game_date"], row["tip_off"], clients):
        return ""
    if not row["rows_written"]:
        return "not run yet"
    if row["active"] >= row["eligible"]:
        return ""
    try:
        newest = read_batches(clients, row["game_date"]).newest
    except OnCallError:
        return "unknown"
    if newest is None:
        return "unknown"
    return "running" if newest.state in IN_PROGRESS_STATES else ""


def _may_be_run(day: date, tip_off: datetime | None, clients: Clients) -> bool:
    """Whether a night's run may still come: a later date, or tonight until the run deadline."""
    tonight = to_game_date(clients.now())
    if day != tonight or tip_off is None:
        return day >= tonight
    return clients.now() < tip_off - timedelta(minutes=clients.settings.run_deadline_before_tipoff_min)
