"""The players of a night, from context and odds: who is requested, who shares a lookup key, when the games begin, who has left one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from services.gcp.query_catalog import Row
from services.names.resolver import ResolutionMethod, resolve
from services.nights.rows import ContextRow, OddsRow, PlayerRow, PredictionRow

AnyRow = TypeVar("AnyRow", bound=Row)
_DATETIME_MIN = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class LeftGame:
    """Active rows of a player under a game in whose context he is not any more, while he is in another's."""

    player_lookup: str
    game_id: str
    active_rows: int


def merge_context_and_odds(
    context: Iterable[ContextRow], odds: Iterable[OddsRow], aliases: Mapping[str, Iterable[str]]
) -> tuple[PlayerRow, ...]:
    """Every player with odds or a context row, by player_lookup; without context, with the canonical name of an alias."""
    context_by_player = newest_context(context)
    odds_by_player = {row["player_lookup"]: row for row in odds if row["player_lookup"] is not None}
    return tuple(
        player_row
        for player in sorted(context_by_player.keys() | odds_by_player.keys())
        for player_row in _merge_players(
            player,
            context_by_player.get(player, ()),
            odds_by_player.get(player),
            _resolve_alias(player, context_by_player, aliases),
        )
    )


def newest_context(context: Iterable[ContextRow]) -> dict[str, tuple[ContextRow, ...]]:
    """By player_lookup the newest context row of each game and team, newest first: the first one is who is requested.

    The same player is in one game; whoever is in another shares the lookup key.
    """
    newest = {(r["player_lookup"], r["game_id"], r["team_abbr"]): r for r in sorted(context, key=context_sort_key)}
    by_player: dict[str, list[ContextRow]] = defaultdict(list)
    for row in sorted(newest.values(), key=context_sort_key, reverse=True):
        if row["player_lookup"] is not None:
            by_player[row["player_lookup"]].append(row)
    return {player: tuple(rows) for player, rows in by_player.items()}


def _merge_players(
    player: str, context_rows: Sequence[ContextRow], odds_row: OddsRow | None, alias_canonical: str | None
) -> Iterator[PlayerRow]:
    """The player that is requested under this lookup key, then those that share it."""
    requested = _merge_player(player, next(iter(context_rows), None), odds_row, alias_canonical)
    yield requested
    for row in context_rows[1:]:
        name = f"{requested['player_name']} ({requested['team']}, {requested['game_id']})"
        yield {**_merge_player(player, row, odds_row, None), "has_odds": None, "shares_lookup_with": name}


def _merge_player(
    player: str, context_row: ContextRow | None, odds_row: OddsRow | None, alias_canonical: str | None
) -> PlayerRow:
    context: Row = context_row or {}
    odds: Row = odds_row or {}
    minutes = context.get("avg_minutes_per_game_last_7")
    return {
        "player_lookup": player,
        "player_name": odds.get("player_name") or player,
        "game_id": context.get("game_id") or odds.get("game_id"),
        "team": context.get("team_abbr"),
        "opponent": context.get("opponent_team_abbr"),
        "away_team": odds.get("away_team_abbr"),
        "home_team": odds.get("home_team_abbr"),
        "has_odds": odds_row is not None,
        "in_context": context_row is not None,
        "shares_lookup_with": "",
        "minutes": None if minutes is None else float(minutes),
        "status": context.get("player_status"),
        "ready": context.get("is_production_ready"),
        "alias_canonical": None if context_row is not None else alias_canonical,
    }


def _resolve_alias(
    player: str, context_by_player: Mapping[str, object], aliases: Mapping[str, Iterable[str]]
) -> str | None:
    resolution = resolve(player, context_by_player, {player: tuple(aliases.get(player, ()))})
    return resolution.lookup if resolution.method is ResolutionMethod.ALIAS else None


def latest_per_player(rows: Iterable[AnyRow], sort_key: Callable[[AnyRow], Any]) -> dict[str, AnyRow]:
    """The last row of each player in that order; rows without player_lookup are left out."""
    with_player = (row for row in rows if row["player_lookup"] is not None)
    return {row["player_lookup"]: row for row in sorted(with_player, key=sort_key)}


def context_sort_key(row: Row) -> tuple[datetime, tuple[int, ...]]:
    """The newest context row of a player counts; of two made at one instant, that of the first game."""
    return row["created_at"] or _DATETIME_MIN, _descending_key(row["game_id"])


def _descending_key(text: str | None) -> tuple[int, ...]:
    """Sorts descending: of rows made at one instant, the one of the first game counts."""
    return tuple(-ord(letter) for letter in text or "")


def player_key(row: PlayerRow) -> str:
    """What identifies a player of one night: the lookup key, and the game too for one who shares it."""
    return sharing_key(row["player_lookup"], row["game_id"]) if row["shares_lookup_with"] else row["player_lookup"]


def sharing_key(player_lookup: str, game_id: str | None) -> str:
    """The key of a player who shares the lookup key of another."""
    return f"{player_lookup} in {game_id}"


def newest_tip_offs(odds: Iterable[OddsRow]) -> tuple[datetime, ...]:
    """When each game with odds begins, by its newest odds."""
    oldest_first = sorted(odds, key=lambda row: row["snapshot_timestamp"] or _DATETIME_MIN)
    tip_offs = {(row["away_team_abbr"], row["home_team_abbr"]): row["game_start_time"] for row in oldest_first}
    return tuple(sorted(at for at in tip_offs.values() if at is not None))


def find_unlisted_games(context: Iterable[ContextRow], written: Iterable[PredictionRow]) -> tuple[str, ...]:
    """The games of active rows that no context row names."""
    listed = {row["game_id"] for row in context}
    return tuple(sorted({str(row["game_id"]) for row in written if row["is_active"] and row["game_id"] not in listed}))


def find_left_games(context: Iterable[ContextRow], written: Iterable[PredictionRow]) -> tuple[LeftGame, ...]:
    """Where players have active rows under a game that is not theirs any more: a newer run supersedes those."""
    games: dict[str | None, set[str | None]] = defaultdict(set)
    for row in context:
        games[row["player_lookup"]].add(row["game_id"])
    left = Counter(
        (row["player_lookup"], row["game_id"])
        for row in written
        if row["is_active"] and row["player_lookup"] in games and row["game_id"] not in games[row["player_lookup"]]
    )
    return tuple(LeftGame(str(player), str(game), rows) for (player, game), rows in sorted(left.items(), key=str))
