"""The name of the customer's predictions table: Python reads it here, SQL from queries/parts/predictions.sql."""

from __future__ import annotations

PREDICTIONS_TABLE = "nba_predictions.player_prop_predictions"
PREDICTIONS_DATASET, PREDICTIONS_TABLE_NAME = PREDICTIONS_TABLE.split(".")
