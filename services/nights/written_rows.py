"""The rows of a night in the predictions table, counted by player and by system. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.batches.business_key import line_text
from services.nights.players import sharing_key
from services.nights.rows import PredictionRow


@dataclass(frozen=True)
class WrittenRows:
    """A player's rows; `keys` are his business keys with an active row, by system."""

    rows: int = 0
    active: int = 0
    superseded: int = 0
    keys: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class SystemRows:
    """A system's rows: `keys` are business keys with an active row, `doubled` those with several; `players` have one."""

    system_id: str
    players: int = 0
    keys: int = 0
    active: int = 0
    doubled: int = 0
    superseded: int = 0


def count_rows_by_player(rows: Iterable[PredictionRow], sharing: Collection[str] = ()) -> dict[str, WrittenRows]:
    """By lookup key; rows in the game of a player who shares his (a key of `sharing`) are his."""
    rows_by_player: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        player = row["player_lookup"] or "no player"
        own_key = sharing_key(player, row["game_id"])
        rows_by_player[own_key if own_key in sharing else player].append(row)
    return {player: _count_player(player_rows) for player, player_rows in rows_by_player.items()}


def _count_player(rows: list[PredictionRow]) -> WrittenRows:
    systems = Counter(system for system, *_ in _count_by_key(rows))
    superseded = sum(bool(row["superseded"]) for row in rows)
    return WrittenRows(
        len(rows), sum(bool(row["is_active"]) for row in rows), superseded, tuple(sorted(systems.items()))
    )


def count_rows_by_system(rows: Iterable[PredictionRow]) -> tuple[SystemRows, ...]:
    """The systems of a night by name."""
    rows_by_system: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        rows_by_system[_system(row)].append(row)
    return tuple(_count_system(system, system_rows) for system, system_rows in sorted(rows_by_system.items()))


def _count_system(system: str, rows: list[PredictionRow]) -> SystemRows:
    keys = _count_by_key(rows)
    return SystemRows(
        system,
        players=count_active_players(rows),
        keys=len(keys),
        active=sum(keys.values()),
        doubled=sum(count > 1 for count in keys.values()),
        superseded=sum(bool(row["superseded"]) for row in rows),
    )


def count_active_players(rows: Iterable[PredictionRow]) -> int:
    """How many lookup keys have an active row."""
    return len({row["player_lookup"] for row in rows if row["is_active"] and row["player_lookup"] is not None})


def _count_by_key(rows: Iterable[PredictionRow]) -> Counter[tuple[str, str | None, str | None, str]]:
    """The active rows of each business key of one date: (system, game, player, line)."""
    return Counter(
        (_system(row), row["game_id"], row["player_lookup"], line_text(row["current_points_line"]))
        for row in rows
        if row["is_active"]
    )


def _system(row: PredictionRow) -> str:
    return row["system_id"] or "no system"
