"""Who plays where: real names from nba_api's static list, dealt to the thirty teams the same way every time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from nba_api.stats.static import players, teams

from services.names.normalization import raw_lookup

ROSTER = 17
Row = dict[str, Any]


@cache
def script() -> Mapping[str, Any]:
    """december.yaml, read once."""
    return yaml.safe_load(Path(__file__).with_name("december.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Player:
    """One player as the context knows him, and as the odds spell him."""

    lookup: str
    name: str
    team: str
    odds_lookup: str
    odds_name: str
    points: float  # scoring level around which lines and predictions are made up
    position: str

    @property
    def universal_id(self) -> str:
        return f"{self.lookup}_001"


def lookup_of(name: str) -> str:
    return raw_lookup(name) or ""


@cache
def rosters() -> Mapping[str, tuple[Player, ...]]:
    """Seventeen players per team; the names of the handoff come first in theirs."""
    rng = random.Random("rosters")
    special: dict[str, list[Player]] = {}
    for told in script()["names"]:
        special.setdefault(told["team"], []).append(_special(told, rng))
    taken = {p.lookup for team in special.values() for p in team} | {p.odds_lookup for t in special.values() for p in t}
    pool = _pool(taken)
    rng.shuffle(pool)
    made: dict[str, tuple[Player, ...]] = {}
    for abbr in sorted(t["abbreviation"] for t in teams.get_teams()):
        first = special.get(abbr, [])
        drawn = [_player(pool.pop(), abbr, rng) for _ in range(ROSTER - len(first))]
        made[abbr] = (*first, *drawn)
    return made


def _pool(taken: set[str]) -> list[str]:
    names = {lookup_of(p["full_name"]): p["full_name"] for p in players.get_active_players()}
    return [name for lookup, name in sorted(names.items()) if lookup not in taken]


def _player(name: str, team: str, rng: random.Random) -> Player:
    return Player(
        lookup_of(name), name, team, lookup_of(name), name, round(rng.gammavariate(3, 4) + 3, 1), rng.choice("GFC")
    )


def _special(told: Mapping[str, Any], rng: random.Random) -> Player:
    points = round(rng.uniform(9, 19), 1)
    return Player(
        told["context"], told["name"], told["team"], told["odds"], told["odds_name"], points, rng.choice("GFC")
    )


def every_player() -> Sequence[Player]:
    return [player for team in rosters().values() for player in team]
