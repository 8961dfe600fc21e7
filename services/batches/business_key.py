"""What makes two prediction rows the same prediction: game date, game, player, system and line."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

BUSINESS_KEY_COLUMNS = ("game_date", "game_id", "player_lookup", "system_id", "current_points_line")


BusinessKey = tuple[str, str, str, str, str]


Row = Mapping[str, Any]


def business_key(row: Row) -> BusinessKey:
    """The business key: the line as a decimal in one spelling, "" without a line; never a float, never an integer."""
    line = row.get("current_points_line")
    line_text = "" if line is None else format(Decimal(str(line)).normalize(), "f")
    return str(row["game_date"]), row["game_id"], row["player_lookup"], row["system_id"], line_text
