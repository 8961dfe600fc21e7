"""Slates of any size for whole batches: context and odds of a night, and of the nights before it their predictions too."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from services.core.tables import PREDICTIONS_TABLE
from tests.faults.seeds import CONTEXT_TABLE, LINE, NIGHT, Kind, Row, make_rows
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_rows import context_row

ODDS_TABLE = "nba_raw.odds_api_player_points_props"
CLEAN_KINDS = (Kind.ACTIVE, Kind.SUPERSEDED, Kind.NULL_LINE, Kind.NESTED, Kind.UNPARTITIONED)  # others need a repair
MATCHES = (("NYK", "NOP"), ("BOS", "LAL"), ("MIA", "DEN"), ("GSW", "PHX"), ("DAL", "ATL"), ("CHI", "CLE"))
SIZES = (4, 12, 24, 48, 96, 158)  # players of a night, at most
TIP_OFF = datetime(2025, 12, 30, 0, 0, tzinfo=UTC)
USUAL_NIGHTS = 6  # before the night, so that what is usual is known


@dataclass(frozen=True)
class Entry:
    """A player of a night; every team's first has odds and is eligible."""

    player: str
    game: str
    team: str
    opponent: str
    number: int  # within his team

    @property
    def has_odds(self) -> bool:
        return self.number % 7 != 3

    @property
    def is_eligible(self) -> bool:
        return self.number % 9 != 4


@dataclass(frozen=True)
class Slate:
    """A night's players, when it is run, in requests of how many players, on tables with which kinds of rows."""

    entries: tuple[Entry, ...]
    kinds: frozenset[Kind] = frozenset()
    unit_players: int = 20
    run_at: datetime = TIP_OFF - timedelta(hours=3)

    @property
    def eligible(self) -> tuple[str, ...]:
        return tuple(entry.player for entry in self.entries if entry.is_eligible)


def make_entries(games: int, per_team: int) -> tuple[Entry, ...]:
    """The players of so many games."""
    return tuple(
        Entry(f"{team.lower()}{n}", f"20251229_{away}_{home}", team, opponent, n)
        for away, home in MATCHES[:games]
        for team, opponent in ((home, away), (away, home))
        for n in range(per_team)
    )


def draw_slate(rng: random.Random, size: int) -> Slate:
    """One to six games of `size` players at most, run before the deadline of 90 minutes and within eight hours of it."""
    games = rng.randint(1, min(size // 2, len(MATCHES)))
    entries = make_entries(games, rng.randint(1, size // games // 2))
    kinds = frozenset(kind for kind in CLEAN_KINDS if rng.random() < 0.3)
    return Slate(entries, kinds, rng.choice((1, 3, 20)), TIP_OFF - timedelta(minutes=rng.randint(100, 450)))


def seed_slate(project: MemoryProject, slate: Slate) -> None:
    """Fill a project's tables with a slate, and nothing else."""
    nights = [timedelta(days=days) for days in range(USUAL_NIGHTS + 1)]
    tables: dict[str, list[Row]] = {
        CONTEXT_TABLE: [_context(entry, before) for before in nights for entry in slate.entries],
        ODDS_TABLE: [_odds(entry, before) for before in nights for entry in slate.entries if entry.has_odds],
        PREDICTIONS_TABLE: [row for before in nights for row in _predictions(slate, before)],
    }
    for name, rows in tables.items():
        project.tables[name].set_rows([], project.clock.now())
        project.insert(name, rows)


def _made_at(before: timedelta) -> datetime:
    return TIP_OFF - timedelta(hours=8) - before


def _context(entry: Entry, before: timedelta) -> Row:
    return context_row(
        entry.player,
        game_id=entry.game,
        game_date=NIGHT - before,
        team_abbr=entry.team,
        opponent_team_abbr=entry.opponent,
        home_game=entry.game.endswith(entry.team),
        has_prop_line=entry.has_odds,
        current_points_line=LINE,
        is_production_ready=entry.is_eligible,
        created_at=_made_at(before),
    )


def _odds(entry: Entry, before: timedelta) -> Row:
    _, away, home = entry.game.split("_")
    return {
        "game_id": entry.game,
        "game_date": NIGHT - before,
        "player_lookup": entry.player,
        "player_name": entry.player,
        "game_start_time": TIP_OFF - before,
        "snapshot_timestamp": _made_at(before),
        "home_team_abbr": home,
        "away_team_abbr": away,
        "bookmaker": "draftkings",
        "points_line": float(LINE),
    }


def _predictions(slate: Slate, before: timedelta) -> Iterator[Row]:
    """Those of an earlier night; of the night itself, those of an earlier run that this one replaces, and older ones."""
    at = _made_at(before)
    for entry in (entry for entry in slate.entries if entry.is_eligible):
        game: Row = {"game_id": entry.game, "game_date": NIGHT - before}
        if before or Kind.ACTIVE in slate.kinds:
            yield from make_rows(entry.player, Decimal(10), at + timedelta(minutes=5), slate.kinds, **game)
        if Kind.SUPERSEDED in slate.kinds:
            superseded: Row = {"is_active": False, "superseded": True, "superseded_at": at}
            yield from make_rows(entry.player, Decimal(5), at, slate.kinds, **game, **superseded)
