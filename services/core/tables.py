"""The customer's tables whose names Python needs; SQL has the predictions table from queries/parts/predictions.sql."""

from __future__ import annotations

PREDICTIONS_TABLE = "nba_predictions.player_prop_predictions"
PREDICTIONS_DATASET, PREDICTIONS_TABLE_NAME = PREDICTIONS_TABLE.split(".")
# Their writer streams into them: for up to 90 minutes rows are in no partition, in no listing and in no count of the metadata.
STREAMED_TABLES = frozenset({"nba_predictions.prediction_worker_runs"})
OWN_DATASET = "prediction_on_call"  # the dataset of our own records: batches, actions, alerts
