"""What makes two prediction rows the same prediction (game date, game, player, system and line), and which of them is newer.

The one place that names the key's columns: keys in Python, the MERGE and the columns that are read from a table are built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from sys import intern
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


class Run(NamedTuple):
    """What one system made for one player at one time."""

    player_system: PlayerSystem
    made_at: datetime


class RowVersion(NamedTuple):
    """Which row of a key this is; the greater one is newer."""

    created_at: datetime
    prediction_id: str
    is_active: bool


BUSINESS_KEY_COLUMNS = BusinessKey._fields
BUSINESS_KEY_TYPES: Mapping[str, str] = dict(
    zip(BUSINESS_KEY_COLUMNS, ("DATE", "STRING", "STRING", "STRING", "NUMERIC"), strict=True)
)
PLAYER_SYSTEM_COLUMNS = PlayerSystem._fields
VERSION_COLUMNS = RowVersion._fields
_NUMERIC_SCALE, _NUMERIC_CONTEXT = Decimal("1e-9"), Context(prec=76)  # of the type as which SQL compares the line
_NEVER, _EPOCH = datetime.min.replace(tzinfo=UTC), datetime.fromtimestamp(0, UTC)


def business_key(row: Mapping[str, Any]) -> BusinessKey:
    """The key of a row that has the key's columns. The line is read as a decimal, never as a float or an integer.

    Each text is once in memory: rows of one night share almost all of theirs.
    """
    parts = [str(row[column] or "") for column in BUSINESS_KEY_COLUMNS if column != LINE_COLUMN]
    return BusinessKey._make(map(intern, [*parts, line_text(row.get(LINE_COLUMN))]))


def line_text(line: Decimal | float | str | None) -> str:
    """A line as the key compares it: a decimal in one spelling, "" without a line."""
    if line is None:
        return ""
    rounded = Decimal(str(line)).quantize(_NUMERIC_SCALE, ROUND_HALF_UP, _NUMERIC_CONTEXT)
    return format(_NUMERIC_CONTEXT.plus(rounded).normalize(_NUMERIC_CONTEXT), "f")  # plus: there is no line −0


def row_version(row: Mapping[str, Any]) -> RowVersion:
    """The version of a row that has created_at, prediction_id and is_active; one without a time is older than all others."""
    return RowVersion(row["created_at"] or _NEVER, row["prediction_id"] or "", bool(row["is_active"]))


def to_micros(made_at: datetime) -> int:
    """The time of a row version in microseconds since 1970, as SQL has it; 0 for a row without a time."""
    return 0 if made_at == _NEVER else (made_at - _EPOCH) // timedelta(microseconds=1)
