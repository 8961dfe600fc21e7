"""What a night has of each game: players in context and names with odds, by the teams that play. Pure.

Games are identified by their teams: the odds may carry the league's own game ids, the context its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from services.nights.rows import ContextRow, OddsRow


@dataclass(frozen=True)
class GameInputs:
    """One game: `in_context` players of each of its two teams, in the order of `teams` (away first where there are odds)."""

    teams: tuple[str, str]
    in_context: tuple[int, int]
    with_odds: int  # names with odds

    @property
    def name(self) -> str:
        """e.g. "NYK@NOP"."""
        return "@".join(self.teams)

    @property
    def teams_without_context(self) -> tuple[str, ...]:
        """Of a game that has context, the team that has none."""
        if not any(self.in_context):
            return ()
        return tuple(team for team, players in zip(self.teams, self.in_context, strict=True) if not players)


def list_game_inputs(context: Iterable[ContextRow], odds: Iterable[OddsRow]) -> tuple[GameInputs, ...]:
    """Every game that context or odds name both teams of, by its name."""
    teams: dict[frozenset[str], tuple[str, str]] = {}
    players: dict[tuple[frozenset[str], str], set[str]] = defaultdict(set)
    names: dict[frozenset[str], set[str]] = defaultdict(set)
    for odds_row in odds:
        away, home, name = odds_row["away_team_abbr"], odds_row["home_team_abbr"], odds_row["player_lookup"]
        if away and home and name:
            teams[frozenset((away, home))] = (away, home)
            names[frozenset((away, home))].add(name)
    for row in context:
        team, opponent, player = row["team_abbr"], row["opponent_team_abbr"], row["player_lookup"]
        if team and opponent and player:
            pair = frozenset((team, opponent))
            teams.setdefault(pair, (min(pair), max(pair)))
            players[pair, team].add(player)
    games = [
        GameInputs((away, home), (len(players[pair, away]), len(players[pair, home])), len(names[pair]))
        for pair, (away, home) in teams.items()
    ]
    return tuple(sorted(games, key=lambda game: game.name))
