"""One night's slate: games, who is in context, who is eligible, who has odds and at which line."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.core.clock import ET
from services.sandbox.scenarios.rosters import Player, rosters, scenario_config


@dataclass(frozen=True)
class Game:
    game_id: str
    away: str
    home: str
    tipoff: datetime


@dataclass(frozen=True)
class PlayerEntry:
    """One player in one night's context."""

    player: Player
    game: Game
    line: float
    minutes: float
    status: str
    ready: bool
    eligible: bool
    has_odds: bool
    odds_lookup: str  # the odds feed's name of the player that night

    @property
    def opponent(self) -> str:
        return self.game.home if self.player.team == self.game.away else self.game.away


@dataclass(frozen=True)
class Slate:
    """A night: its plan from december.yaml, its games and its players."""

    game_date: date
    plan: Mapping[str, Any]
    games: tuple[Game, ...]
    entries: tuple[PlayerEntry, ...]

    @property
    def eligible(self) -> tuple[PlayerEntry, ...]:
        return tuple(e for e in self.entries if e.eligible)

    @property
    def run_at(self) -> datetime | None:
        """When the batch started, UTC."""
        time_text = self.plan.get("run_at")
        if time_text is None:
            return None
        hour, minute = map(int, time_text.split(":"))
        return datetime(*self.game_date.timetuple()[:3], hour, minute, tzinfo=ET).astimezone(UTC)

    @property
    def started_at(self) -> datetime:
        """`run_at` of a night that ran; raises ValueError for one that did not."""
        if self.run_at is None:
            raise ValueError(f"the batch of {self.game_date} has not run")
        return self.run_at

    @property
    def batch_id(self) -> str:
        return str(self.plan.get("batch_id") or f"batch_{self.game_date}_{int(self.started_at.timestamp())}")


def build_slates() -> tuple[Slate, ...]:
    """Every night of december.yaml, oldest first."""
    return tuple(build_slate(_to_date(day), plan) for day, plan in scenario_config()["nights"].items())


def _to_date(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def build_slate(day: date, plan: Mapping[str, Any]) -> Slate:
    """One night from its plan; deterministic."""
    rng = random.Random(f"slate {day}")
    games = _build_games(day, plan["games"], rng)
    return Slate(day, plan, games, _build_entries(plan, games, rng) if games else ())


def _build_games(day: date, matchups: Any, rng: random.Random) -> tuple[Game, ...]:
    if isinstance(matchups, int):
        shuffled_teams = sorted(rosters())
        rng.shuffle(shuffled_teams)
        matchups = [f"{shuffled_teams[2 * i]}@{shuffled_teams[2 * i + 1]}" for i in range(matchups)]
    games = []
    for i, matchup in enumerate(matchups):
        away, home = matchup.split("@")
        tipoff = datetime(day.year, day.month, day.day, 19, 0, tzinfo=ET) + timedelta(minutes=30 * (i % 7))
        games.append(Game(f"{day:%Y%m%d}_{away}_{home}", away, home, tipoff.astimezone(UTC)))
    return tuple(games)


def _build_entries(plan: Mapping[str, Any], games: tuple[Game, ...], rng: random.Random) -> tuple[PlayerEntry, ...]:
    player_games = [(player, game) for game in games for team in (game.away, game.home) for player in rosters()[team]]
    scripted = [p for p in player_games if p[0].odds_lookup != p[0].lookup]
    others = [p for p in player_games if p[0].odds_lookup == p[0].lookup]
    rng.shuffle(others)
    in_context = scripted + others[: plan["in_context"] - len(scripted)]
    misnamed = {p.lookup for p, _ in scripted} if plan.get("odds_names") == "handoff" else set()
    ordinary = [player for player, _ in in_context if player.lookup not in misnamed]
    rng.shuffle(ordinary)
    out_lookups = {spec["context"] for spec in scenario_config()["names"] if spec.get("out")}
    eligible = {player.lookup for player in [p for p in ordinary if p.lookup not in out_lookups][: plan["eligible"]]}
    with_odds = _choose_with_odds(plan["lined"] - len(misnamed), ordinary, eligible) | misnamed
    entries = [
        _build_entry(player, game, player.lookup in eligible, player.lookup in with_odds, misnamed, out_lookups, rng)
        for player, game in in_context
    ]
    return tuple(sorted(entries, key=lambda e: (e.game.game_id, e.player.team, e.player.lookup)))


def _choose_with_odds(count: int, ordinary: list[Player], eligible: set[str]) -> set[str]:
    """The lookups with odds: most eligible players, and some who are not eligible."""
    eligible_with_odds = [p.lookup for p in ordinary if p.lookup in eligible][: int(len(eligible) * 0.9)]
    others = [p.lookup for p in ordinary if p.lookup not in eligible]
    return set(eligible_with_odds[:count]) | set(others[: max(0, count - len(eligible_with_odds))])


def _build_entry(
    player: Player,
    game: Game,
    eligible: bool,
    has_odds: bool,
    misnamed: set[str],
    out_lookups: set[str],
    rng: random.Random,
) -> PlayerEntry:
    minutes, status, ready = _context_values(eligible, rng)
    if player.lookup in out_lookups:
        minutes, status, ready = 31.0, "out", True
    line = max(4.5, round(player.points) + rng.choice([-1.5, -0.5, 0.5, 1.5]))
    odds_lookup = player.odds_lookup if player.lookup in misnamed else player.lookup
    return PlayerEntry(player, game, line, minutes, status, ready, eligible, has_odds, odds_lookup)


def _context_values(eligible: bool, rng: random.Random) -> tuple[float, str, bool]:
    """(minutes, status, ready) of an eligible player, or with exactly one value that makes the player ineligible."""
    if eligible:
        return round(rng.uniform(15.5, 36.5), 1), rng.choice(["available", "available", "available", "probable"]), True
    obstacle = rng.choices(["minutes", "out", "doubtful", "not ready"], [60, 20, 6, 14])[0]
    minutes = round(rng.uniform(1.0, 14.4), 1) if obstacle == "minutes" else round(rng.uniform(15.5, 34), 1)
    return minutes, obstacle if obstacle in ("out", "doubtful") else "available", obstacle != "not ready"
