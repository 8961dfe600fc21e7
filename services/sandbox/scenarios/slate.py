"""One night's slate: games, who is in context, who is eligible, who has odds and at which line."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.core.clock import ET
from services.sandbox.scenarios.rosters import Player, rosters, script

MINUTES_NEEDED = 15


@dataclass(frozen=True)
class Game:
    game_id: str
    away: str
    home: str
    tip: datetime


@dataclass(frozen=True)
class Entry:
    """One player in one night's context."""

    player: Player
    game: Game
    line: float
    minutes: float
    status: str
    ready: bool
    eligible: bool
    lined: bool
    odds_lookup: str  # the name the odds use that night

    @property
    def opponent(self) -> str:
        return self.game.home if self.player.team == self.game.away else self.game.away


@dataclass(frozen=True)
class Slate:
    """A night: its plan from december.yaml and everybody in it."""

    game_date: date
    plan: Mapping[str, Any]
    games: tuple[Game, ...]
    entries: tuple[Entry, ...]

    @property
    def eligible(self) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.eligible)

    @property
    def run_at(self) -> datetime | None:
        """When the batch started, UTC."""
        told = self.plan.get("run_at")
        if told is None:
            return None
        hour, minute = map(int, told.split(":"))
        return datetime(*self.game_date.timetuple()[:3], hour, minute, tzinfo=ET).astimezone(UTC)

    @property
    def started(self) -> datetime:
        """`run_at` of a night that ran."""
        if self.run_at is None:
            raise ValueError(f"the batch of {self.game_date} has not run")
        return self.run_at

    @property
    def batch_id(self) -> str:
        return str(self.plan.get("batch_id") or f"batch_{self.game_date}_{int(self.started.timestamp())}")


def slates() -> tuple[Slate, ...]:
    """Every night of the script, oldest first."""
    return tuple(slate_of(_as_date(day), plan) for day, plan in script()["nights"].items())


def _as_date(told: Any) -> date:
    return told if isinstance(told, date) else date.fromisoformat(str(told))


def slate_of(day: date, plan: Mapping[str, Any]) -> Slate:
    """One night from its plan, the same at every call."""
    rng = random.Random(f"slate {day}")
    games = _games(day, plan["games"], rng)
    return Slate(day, plan, games, _entries(plan, games, rng) if games else ())


def _games(day: date, told: Any, rng: random.Random) -> tuple[Game, ...]:
    if isinstance(told, int):
        drawn = sorted(rosters())
        rng.shuffle(drawn)
        told = [f"{drawn[2 * i]}@{drawn[2 * i + 1]}" for i in range(told)]
    made = []
    for i, matchup in enumerate(told):
        away, home = matchup.split("@")
        tip = datetime(day.year, day.month, day.day, 19, 0, tzinfo=ET) + timedelta(minutes=30 * (i % 7))
        made.append(Game(f"{day:%Y%m%d}_{away}_{home}", away, home, tip.astimezone(UTC)))
    return tuple(made)


def _entries(plan: Mapping[str, Any], games: tuple[Game, ...], rng: random.Random) -> tuple[Entry, ...]:
    places = [(player, game) for game in games for team in (game.away, game.home) for player in rosters()[team]]
    special = [p for p in places if p[0].odds_lookup != p[0].lookup]
    others = [p for p in places if p[0].odds_lookup == p[0].lookup]
    rng.shuffle(others)
    present = special + others[: plan["in_context"] - len(special)]
    misnamed = {p.lookup for p, _ in special} if plan.get("odds_names") == "handoff" else set()
    ordinary = [player for player, _ in present if player.lookup not in misnamed]
    rng.shuffle(ordinary)
    out = {told["context"] for told in script()["names"] if told.get("out")}
    eligible = {player.lookup for player in [p for p in ordinary if p.lookup not in out][: plan["eligible"]]}
    lined = _lined(plan["lined"] - len(misnamed), ordinary, eligible) | misnamed
    made = [
        _entry(player, game, player.lookup in eligible, player.lookup in lined, misnamed, out, rng)
        for player, game in present
    ]
    return tuple(sorted(made, key=lambda e: (e.game.game_id, e.player.team, e.player.lookup)))


def _lined(count: int, ordinary: list[Player], eligible: set[str]) -> set[str]:
    """Books offer most of the eligible, and some who then do not qualify."""
    with_odds = [p.lookup for p in ordinary if p.lookup in eligible][: int(len(eligible) * 0.9)]
    rest = [p.lookup for p in ordinary if p.lookup not in eligible]
    return set(with_odds[:count]) | set(rest[: max(0, count - len(with_odds))])


def _entry(
    player: Player, game: Game, eligible: bool, lined: bool, misnamed: set[str], out: set[str], rng: random.Random
) -> Entry:
    minutes, status, ready = _reason(eligible, rng)
    if player.lookup in out:
        minutes, status, ready = 31.0, "out", True
    line = max(4.5, round(player.points) + rng.choice([-1.5, -0.5, 0.5, 1.5]))
    odds = player.odds_lookup if player.lookup in misnamed else player.lookup
    return Entry(player, game, line, minutes, status, ready, eligible, lined, odds)


def _reason(eligible: bool, rng: random.Random) -> tuple[float, str, bool]:
    """(minutes, status, ready) that make a player eligible, or one thing that does not."""
    if eligible:
        return round(rng.uniform(15.5, 36.5), 1), rng.choice(["available", "available", "available", "probable"]), True
    kind = rng.choices(["minutes", "out", "doubtful", "not ready"], [60, 20, 6, 14])[0]
    minutes = round(rng.uniform(1.0, 14.4), 1) if kind == "minutes" else round(rng.uniform(15.5, 34), 1)
    return minutes, kind if kind in ("out", "doubtful") else "available", kind != "not ready"
