"""The predictor's interface, and a baseline predictor so that the write path has real rows to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, ClassVar, Protocol
from uuid import NAMESPACE_OID, uuid5

SYSTEMS = ("moving_average", "zone_matchup_v1", "similarity_balanced_v1", "xgboost_v1", "ensemble_v1")
LINE_OFFSETS = (-2, -1, 0, 1, 2)
_ONE_DECIMAL = Decimal("0.1")
Row = dict[str, Any]


@dataclass(frozen=True)
class PredictionRequest:
    """One player to predict: where and when he plays, and his newest context row."""

    game_date: date
    player_lookup: str
    game_id: str
    context: Mapping[str, Any]


class Predictor(Protocol):
    """Makes every row of one player: one per system and line. Raises PredictionNotPossible when it cannot."""

    def predict(self, request: PredictionRequest, at: datetime) -> Sequence[Row]: ...


class PredictionNotPossible(Exception):
    """No prediction could be made; the reason is the text."""


class BaselinePredictor:
    """A baseline, no more: weighted scoring averages of the context, nudged for home court and rest.

    Five systems differ only in their weights. It exists so that the pipeline runs without the customer's models; it uses nothing
    but the context's columns and gives the same rows for the same context every time.
    """

    # By system: share of the last five games against the last ten, points for home court, points per day of rest.
    _WEIGHTS: ClassVar[Mapping[str, tuple[Decimal, Decimal, Decimal]]] = {
        "moving_average": (Decimal("0.5"), Decimal("0"), Decimal("0")),
        "zone_matchup_v1": (Decimal("0.4"), Decimal("0.6"), Decimal("0.1")),
        "similarity_balanced_v1": (Decimal("0.6"), Decimal("0.3"), Decimal("0.2")),
        "xgboost_v1": (Decimal("0.7"), Decimal("0.5"), Decimal("0.1")),
        "ensemble_v1": (Decimal("0.55"), Decimal("0.4"), Decimal("0.1")),
    }

    def predict(self, request: PredictionRequest, at: datetime) -> Sequence[Row]:
        context = request.context
        if context.get("points_avg_last_5") is None or context.get("points_avg_last_10") is None:
            raise PredictionNotPossible("no_features: the context has no scoring averages")
        line = baseline_line(context)
        averages = _read_number(context, "points_avg_last_5"), _read_number(context, "points_avg_last_10")
        return [
            self._build_row(request, system, line + offset, *averages, at)
            for system in SYSTEMS
            for offset in LINE_OFFSETS
        ]

    def _build_row(
        self,
        request: PredictionRequest,
        system: str,
        line: Decimal,
        recent_average: Decimal,
        longer_average: Decimal,
        at: datetime,
    ) -> Row:
        recent_weight, home_points, points_per_rest_day = self._WEIGHTS[system]
        context = request.context
        home_adjustment = home_points if context.get("home_game") else -home_points
        rest_adjustment = points_per_rest_day * (int(context.get("days_rest") or 1) - 1)
        average = recent_weight * recent_average + (1 - recent_weight) * longer_average
        points = (average + (home_adjustment + rest_adjustment)).quantize(_ONE_DECIMAL, ROUND_HALF_UP)
        margin = points - line
        has_line = bool(context.get("has_prop_line"))
        id_text = f"{request.game_date}/{request.player_lookup}/{system}/{line}/{at}"
        return {
            "prediction_id": str(uuid5(NAMESPACE_OID, id_text)),
            "system_id": system,
            "player_lookup": request.player_lookup,
            "universal_player_id": context.get("universal_player_id"),
            "game_date": request.game_date,
            "game_id": request.game_id,
            "prediction_version": 1,
            "predicted_points": points,
            "confidence_score": min(Decimal(95), Decimal(55) + abs(margin) * 4).quantize(_ONE_DECIMAL),
            "recommendation": "OVER" if margin > 1 else "UNDER" if margin < -1 else "PASS",
            "current_points_line": line,
            "line_margin": margin,
            "has_prop_line": has_line,
            "line_source": "ACTUAL_PROP" if has_line else "ESTIMATED_AVG",
            "line_source_api": "ODDS_API" if has_line else "ESTIMATED",
            "is_active": True,
            "superseded": False,
            "model_version": "baseline",
            "prediction_made_before_game": is_before_tip_off(at, context.get("tip_off")),
            "created_at": at,
        }


def baseline_line(context: Mapping[str, Any]) -> Decimal:
    """The line to predict around: the odds', else the ten-game average moved to a half point."""
    if context.get("current_points_line") is not None:
        return _read_number(context, "current_points_line").quantize(_ONE_DECIMAL)
    average = _read_number(context, "points_avg_last_10")
    return max(Decimal("4.5"), average.quantize(Decimal(1), ROUND_HALF_UP) - Decimal("0.5"))


def is_before_tip_off(at: datetime, tip_off: object) -> bool | None:
    """Whether a prediction made `at` precedes the game; None when the tip-off, a text with its zone, is not known."""
    try:
        begins_at = datetime.fromisoformat(str(tip_off))
    except ValueError:
        return None
    return at < begins_at if begins_at.tzinfo else None


def _read_number(context: Mapping[str, Any], name: str) -> Decimal:
    try:
        number = Decimal(str(context[name]))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise PredictionNotPossible(f"no_features: {name} is {context[name]!r}, not a number")
    return number
