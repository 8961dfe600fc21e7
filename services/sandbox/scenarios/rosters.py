"""Team rosters: real names from nba_api's static list, assigned to the thirty teams deterministically."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from nba_api.stats.static import players, teams

from services.names.normalization import normalize_odds_name

ROSTER_SIZE = 17
Row = dict[str, Any]


@cache
def scenario_config() -> Mapping[str, Any]:
    """The content of december.yaml, cached."""
    config: Mapping[str, Any] = yaml.safe_load(Path(__file__).with_name("december.yaml").read_text(encoding="utf-8"))
    return config


@dataclass(frozen=True)
class Player:
    """One player, as the context and as the odds feed spell the name."""

    lookup: str
    name: str
    team: str
    odds_lookup: str
    odds_name: str
    points: float  # scoring average around which lines and predictions are generated
    position: str

    @property
    def universal_id(self) -> str:
        return f"{self.lookup}_001"


def normalize_lookup(name: str) -> str:
    return normalize_odds_name(name) or ""


@cache
def rosters() -> Mapping[str, tuple[Player, ...]]:
    """Seventeen players per team by abbreviation; the handoff's names come first in their teams."""
    rng = random.Random("rosters")
    scripted: dict[str, list[Player]] = {}
    for spec in scenario_config()["names"]:
        scripted.setdefault(spec["team"], []).append(_scripted_player(spec, rng))
    taken_lookups = {p.lookup for team in scripted.values() for p in team} | {
        p.odds_lookup for t in scripted.values() for p in t
    }
    pool = _unused_names(taken_lookups)
    rng.shuffle(pool)
    players_by_team: dict[str, tuple[Player, ...]] = {}
    for abbr in sorted(t["abbreviation"] for t in teams.get_teams()):
        scripted_players = scripted.get(abbr, [])
        random_players = [_random_player(pool.pop(), abbr, rng) for _ in range(ROSTER_SIZE - len(scripted_players))]
        players_by_team[abbr] = (*scripted_players, *random_players)
    return players_by_team


def _unused_names(taken_lookups: set[str]) -> list[str]:
    names = {normalize_lookup(p["full_name"]): p["full_name"] for p in players.get_active_players()}
    return [name for lookup, name in sorted(names.items()) if lookup not in taken_lookups]


def _random_player(name: str, team: str, rng: random.Random) -> Player:
    return Player(
        normalize_lookup(name),
        name,
        team,
        normalize_lookup(name),
        name,
        round(rng.gammavariate(3, 4) + 3, 1),
        rng.choice("GFC"),
    )


def _scripted_player(spec: Mapping[str, Any], rng: random.Random) -> Player:
    points = round(rng.uniform(9, 19), 1)
    return Player(
        spec["context"], spec["name"], spec["team"], spec["odds"], spec["odds_name"], points, rng.choice("GFC")
    )


def all_players() -> Sequence[Player]:
    return [player for team in rosters().values() for player in team]
