"""Rows for the in-memory BigQuery: the context of players who may be predicted, and predictions of the customer's table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

NIGHT = date(2025, 12, 29)
GAME = "20251229_NYK_NOP"


def context_row(player: str, **changes: Any) -> dict[str, Any]:
    """An eligible player's context."""
    row: dict[str, Any] = {
        "player_lookup": player,
        "universal_player_id": f"{player}_001",
        "game_id": GAME,
        "game_date": NIGHT,
        "team_abbr": "NOP",
        "opponent_team_abbr": "NYK",
        "home_game": True,
        "has_prop_line": True,
        "current_points_line": Decimal("20.5"),
        "days_rest": 1,
        "avg_minutes_per_game_last_7": Decimal(30),
        "points_avg_last_5": Decimal(21),
        "points_avg_last_10": Decimal(20),
        "player_status": "active",
        "is_production_ready": True,
        "created_at": datetime(2025, 12, 29, 12, tzinfo=UTC),
    }
    return {**row, **changes}


def context_rows(players: Iterable[str], **changes: Any) -> list[dict[str, Any]]:
    return [context_row(player, **changes) for player in players]


def prediction_row(player: str, **changes: Any) -> dict[str, Any]:
    """One active prediction."""
    row: dict[str, Any] = {
        "prediction_id": f"{player}-0",
        "system_id": "ensemble_v1",
        "player_lookup": player,
        "game_date": NIGHT,
        "game_id": GAME,
        "prediction_version": 1,
        "predicted_points": Decimal(20),
        "confidence_score": Decimal(60),
        "recommendation": "OVER",
        "current_points_line": Decimal("20.5"),
        "is_active": True,
        "superseded": False,
        "created_at": datetime(2025, 12, 29, 18, tzinfo=UTC),
    }
    return {**row, **changes}
