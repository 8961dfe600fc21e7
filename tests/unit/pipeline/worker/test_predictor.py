"""The baseline's rows: every system and line, from nothing but the context, with the averages weighted as documented."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from services.pipeline.worker.predictor import (
    LINE_OFFSETS,
    SYSTEMS,
    BaselinePredictor,
    PredictionNotPossible,
    PredictionRequest,
    baseline_line,
)

AT = datetime(2025, 12, 29, 18, tzinfo=UTC)
CONTEXT: dict[str, Any] = {
    "points_avg_last_5": "24",
    "points_avg_last_10": "20",
    "current_points_line": "20.5",
    "has_prop_line": True,
    "home_game": True,
    "days_rest": 3,
    "universal_player_id": "brunson_001",
    "tip_off": "2025-12-30T00:30:00Z",
}


def predict(**changes: Any) -> list[dict[str, Any]]:
    request = PredictionRequest(date(2025, 12, 29), "brunson", "g1", {**CONTEXT, **changes})
    return list(BaselinePredictor().predict(request, AT))


def points(**changes: Any) -> dict[str, Decimal]:
    return {row["system_id"]: row["predicted_points"] for row in predict(**changes)}


def test_a_player_has_one_row_per_system_and_line():
    rows = predict()
    assert [(row["system_id"], row["current_points_line"]) for row in rows] == [
        (system, Decimal("20.5") + offset) for system in SYSTEMS for offset in LINE_OFFSETS
    ]
    assert len({row["prediction_id"] for row in rows}) == len(rows) == 25


def test_a_row_has_every_column_of_the_write_path():
    row = next(
        r for r in predict() if (r["system_id"], r["current_points_line"]) == ("moving_average", Decimal("20.5"))
    )
    assert row == {
        "prediction_id": str(uuid5(NAMESPACE_OID, f"2025-12-29/brunson/moving_average/20.5/{AT}")),
        "system_id": "moving_average",
        "player_lookup": "brunson",
        "universal_player_id": "brunson_001",
        "game_date": date(2025, 12, 29),
        "game_id": "g1",
        "prediction_version": 1,
        "predicted_points": Decimal("22.0"),
        "confidence_score": Decimal("61.0"),
        "recommendation": "OVER",
        "current_points_line": Decimal("20.5"),
        "line_margin": Decimal("1.5"),
        "has_prop_line": True,
        "line_source": "ACTUAL_PROP",
        "line_source_api": "ODDS_API",
        "is_active": True,
        "superseded": False,
        "model_version": "baseline",
        "prediction_made_before_game": True,
        "created_at": AT,
    }


def test_averages_home_court_and_rest_are_weighted_per_system():
    home = {
        "moving_average": Decimal("22.0"),  # 0.5 × 24 + 0.5 × 20
        "zone_matchup_v1": Decimal("22.4"),  # 21.6 + 0.6 + 2 × 0.1
        "similarity_balanced_v1": Decimal("23.1"),  # 22.4 + 0.3 + 2 × 0.2
        "xgboost_v1": Decimal("23.5"),  # 22.8 + 0.5 + 2 × 0.1
        "ensemble_v1": Decimal("22.8"),  # 22.2 + 0.4 + 2 × 0.1
    }
    assert points() == home
    assert points(home_game=False)["zone_matchup_v1"] == Decimal("21.2")
    assert points(days_rest=0)["zone_matchup_v1"] == Decimal("22.2"), "unknown and none are one day, which adds nothing"
    assert points(days_rest=None) == points(days_rest=1) == points(days_rest=0)
    assert points(points_avg_last_5="24.1")["moving_average"] == Decimal("22.1"), "22.05 is rounded up"


@pytest.mark.parametrize(
    ("line", "recommendation", "confidence"),
    [
        ("21.1", "PASS", "58.6"),
        ("21.0", "PASS", "59.0"),
        ("20.9", "OVER", "59.4"),
        ("23.0", "PASS", "59.0"),
        ("23.1", "UNDER", "59.4"),
        ("40", "UNDER", "95.0"),
    ],
)
def test_a_margin_of_more_than_a_point_is_recommended_and_confidence_grows_with_it(line, recommendation, confidence):
    row = next(r for r in predict(current_points_line=line) if r["current_points_line"] == Decimal(line))
    assert (row["recommendation"], row["confidence_score"]) == (recommendation, Decimal(confidence))


@pytest.mark.parametrize("has_line", [False, None])
def test_without_odds_the_line_is_estimated_and_says_so(has_line):
    row = predict(has_prop_line=has_line, current_points_line=None)[2]
    assert (row["has_prop_line"], row["line_source"], row["line_source_api"]) == (False, "ESTIMATED_AVG", "ESTIMATED")
    assert row["current_points_line"] == Decimal("19.5")


@pytest.mark.parametrize(
    ("context", "line"),
    [
        ({"current_points_line": "20.50", "points_avg_last_10": "3"}, "20.5"),
        ({"points_avg_last_10": "20.4"}, "19.5"),
        ({"points_avg_last_10": "20.5"}, "20.5"),
        ({"points_avg_last_10": "5"}, "4.5"),
        ({"points_avg_last_10": "1", "current_points_line": None}, "4.5"),
    ],
)
def test_the_line_is_that_of_the_odds_else_the_average_on_a_half_point(context, line):
    assert baseline_line(context) == Decimal(line)


@pytest.mark.parametrize("missing", ["points_avg_last_5", "points_avg_last_10"])
def test_without_both_averages_there_is_no_prediction(missing):
    with pytest.raises(PredictionNotPossible, match=r"^no_features: the context has no scoring averages$"):
        predict(**{missing: None})


def test_the_same_context_gives_the_same_rows():
    assert predict() == predict()
