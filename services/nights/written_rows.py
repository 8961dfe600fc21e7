"""The rows of a night in the predictions table, counted by player and by system. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from services.batches.business_key import line_text
from services.nights.players import sharing_key
from services.nights.rows import PredictionRow


@dataclass(frozen=True)
class WrittenRows:
    """A player's rows; `keys` are his business keys with an active row, by system.

    `first_made_at` is when the first of them that is or was active was made: None without one, and where no row says when.
    """

    rows: int = 0
    active: int = 0
    superseded: int = 0
    keys: tuple[tuple[str, int], ...] = ()
    first_made_at: datetime | None = None


@dataclass(frozen=True)
class SystemRows:
    """A system's rows: `keys` are business keys with an active row, `doubled` those with several; `players` have one."""

    system_id: str
    players: int = 0
    keys: int = 0
    active: int = 0
    doubled: int = 0
    superseded: int = 0


def count_rows_by_player(
    rows: Iterable[PredictionRow], sharing: Collection[str] = (), *, with_lines: bool = True
) -> dict[str, WrittenRows]:
    """By lookup key; rows in the game of a player who shares his (a key of `sharing`) are his.

    Without `with_lines`, in a table that has no line, each row counts as a key of its own.
    """
    rows_by_player: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        player = row["player_lookup"] or "no player"
        own_key = sharing_key(player, row["game_id"])
        rows_by_player[own_key if own_key in sharing else player].append(row)
    return {player: _count_player(player_rows, with_lines) for player, player_rows in rows_by_player.items()}


def _count_player(rows: list[PredictionRow], with_lines: bool) -> WrittenRows:
    systems = Counter(system for system, *_ in _count_by_key(rows, with_lines))
    superseded = sum(bool(row["superseded"]) for row in rows)
    made = (row["created_at"] for row in rows if row["is_active"] or row["superseded"])
    return WrittenRows(
        len(rows),
        sum(bool(row["is_active"]) for row in rows),
        superseded,
        tuple(sorted(systems.items())),
        min((at for at in made if at is not None), default=None),
    )


def count_rows_by_system(rows: Iterable[PredictionRow], *, with_lines: bool = True) -> tuple[SystemRows, ...]:
    """The systems of a night by name; `with_lines` as in count_rows_by_player."""
    rows_by_system: dict[str, list[PredictionRow]] = defaultdict(list)
    for row in rows:
        rows_by_system[_system(row)].append(row)
    systems = sorted(rows_by_system.items())
    return tuple(_count_system(system, system_rows, with_lines) for system, system_rows in systems)


def _count_system(system: str, rows: list[PredictionRow], with_lines: bool) -> SystemRows:
    keys = _count_by_key(rows, with_lines)
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


def _count_by_key(
    rows: Iterable[PredictionRow], with_lines: bool
) -> Counter[tuple[str, str | None, str | None, str | int]]:
    """The active rows of each business key of one date: (system, game, player, line)."""
    return Counter(
        (
            _system(row),
            row["game_id"],
            row["player_lookup"],
            line_text(row["current_points_line"]) if with_lines else number,
        )
        for number, row in enumerate(rows)
        if row["is_active"]
    )


def _system(row: PredictionRow) -> str:
    return row["system_id"] or "no system"
