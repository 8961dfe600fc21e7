"""What makes two prediction rows the same prediction: game date, game, player, system and line.

The one place that names the key's columns: keys in Python, the MERGE and the columns that are read from a table are built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

LINE_COLUMN = "current_points_line"  # the only column of the key that may be NULL; it is compared as a decimal


class PlayerSystem(NamedTuple):
    """A player in a game by one system: a newer run replaces all of its lines together."""

    game_id: str
    player_lookup: str
    system_id: str


class BusinessKey(NamedTuple):
    """A business key as text; the line is a decimal in one spelling, "" without a line."""

    game_date: str
    game_id: str
    player_lookup: str
    system_id: str
    current_points_line: str

    @property
    def player_system(self) -> PlayerSystem:
        """The key without date and line: what one system predicts for one player of one game."""
        return PlayerSystem(self.game_id, self.player_lookup, self.system_id)


BUSINESS_KEY_COLUMNS = BusinessKey._fields
BUSINESS_KEY_TYPES: Mapping[str, str] = dict(
    zip(BUSINESS_KEY_COLUMNS, ("DATE", "STRING", "STRING", "STRING", "NUMERIC"), strict=True)
)
PLAYER_SYSTEM_COLUMNS = PlayerSystem._fields


def business_key(row: Mapping[str, Any]) -> BusinessKey:
    """The key of a row that has the key's columns. The line is read as a decimal, never as a float or an integer."""
    line = row.get(LINE_COLUMN)
    line_text = "" if line is None else format(Decimal(str(line)).normalize(), "f")
    return BusinessKey(str(row["game_date"]), row["game_id"], row["player_lookup"], row["system_id"], line_text)
