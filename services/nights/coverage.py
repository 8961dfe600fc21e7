"""Coverage: how many players reach each stage, by date, with every denominator named."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta

from services.core.clock import night_of
from services.core.result import Health, Source
from services.core.settings import Settings
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.names.resolution_counts import Effect
from services.nights.player_stages import Night, PlayerNight, Stage
from services.policy.coverage_thresholds import judge
from services.policy.eligibility import MINUTES_NEEDED


@dataclass(frozen=True)
class Funnel:
    """Players per stage of one game date; None where the stage's source could not be read."""

    game_date: date
    players: dict[Stage, int | None]
    health: Health


@dataclass(frozen=True)
class DayCoverage:
    """One game date of the history. Percentages are None when their denominator is 0 or unknown."""

    game_date: date
    games: int
    lined: int
    in_context: int
    eligible: int
    active: int
    rows_active: int
    by_system: tuple[tuple[str, int], ...]  # (system_id, players active)
    health: Health
    names: Effect | None = None  # how the names of the odds led into the context; None: not known

    def pct_of(self, denominator: int) -> float | None:
        """Active players as a percentage of a denominator."""
        return 100 * self.active / denominator if denominator else None


@dataclass(frozen=True)
class History:
    days: tuple[DayCoverage, ...]
    sources: tuple[Source, ...]


def funnel(night: Night, settings: Settings) -> Funnel:
    """Count a night's players by stage. Stages from eligible on count eligible players; staged is None on a night without staging."""
    eligible = [p for p in night.players if p.eligible]
    players = {
        Stage.LINED: sum(bool(p.lined) for p in night.players),
        Stage.IN_CONTEXT: sum(bool(p.in_context) for p in night.players),
        Stage.ELIGIBLE: len(eligible),
        Stage.REQUESTED: _count(eligible, [p.requested for p in eligible]),
        Stage.GENERATED: _count(eligible, [p.generated_rows for p in eligible]),
        Stage.STAGED: _staged(eligible),
        Stage.WRITTEN: _count(eligible, [p.written_rows for p in eligible]),
        Stage.ACTIVE: _count(eligible, [p.active_rows for p in eligible]),
    }
    if night.games == 0:
        return Funnel(night.game_date, players, Health.NONE_EXPECTED)
    health = judge(players[Stage.ACTIVE], len(eligible), night.games, settings)
    return Funnel(night.game_date, players, health if night.ran else Health.UNKNOWN)


def _count(players: list[PlayerNight], values: list[bool | None] | list[int | None]) -> int | None:
    """How many are known to have reached a stage; None as soon as one of them is unknown."""
    return None if any(v is None for v in values) and players else sum(bool(v) for v in values)


def _staged(players: list[PlayerNight]) -> int | None:
    """Players known to have been staged; None when the evidence is gone (tables cleaned up, or the night never staged)."""
    staged = sum(bool(p.staged_rows) for p in players)
    return staged if staged and staged >= sum(bool(p.written_rows) for p in players) else None


def read_history(cloud: Cloud, first: date, last: date) -> History:
    """Coverage of each date from `first` to `last`, days without games included; a date not run yet is unknown, not 0 %."""
    told = catalog.run(cloud, "coverage.history", first_date=first, last_date=last, minutes_needed=MINUTES_NEEDED)
    by_system: dict[date, list[tuple[str, int]]] = defaultdict(list)
    for row in told.rows:
        if row["system_id"] is not None:
            by_system[row["game_date"]].append((row["system_id"], row["system_players"]))
    rows = {row["game_date"]: row for row in told.rows}
    days = (first + timedelta(days=i) for i in range((last - first).days + 1))
    tonight = night_of(cloud.now())
    return History(
        tuple(_day(cloud, day, rows.get(day), tuple(by_system[day]), day > tonight) for day in days),
        (told.source,),
    )


def _day(
    cloud: Cloud, day: date, row: dict[str, int] | None, by_system: tuple[tuple[str, int], ...], to_come: bool
) -> DayCoverage:
    if row is None:
        return DayCoverage(day, 0, 0, 0, 0, 0, 0, (), Health.NONE_EXPECTED)
    health = judge(row["active"], row["eligible"], row["games"], cloud.settings)
    if to_come and not row["rows_written"]:
        health = Health.UNKNOWN
    return DayCoverage(
        game_date=day,
        games=row["games"],
        lined=row["lined"],
        in_context=row["in_context"],
        eligible=row["eligible"],
        active=row["active"],
        rows_active=row["rows_active"],
        by_system=by_system,
        health=health,
        names=Effect(row["names_exact"], row["names_by_alias"], row["names_unresolved"]),
    )
