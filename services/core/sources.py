"""What readings are made of and actions change, by name: a table as dataset.table, anything else by what it is."""

from __future__ import annotations

from services.core.tables import OWN_DATASET, PREDICTIONS_TABLE

Sources = frozenset[str]

CONTEXT, ODDS = "nba_analytics.upcoming_player_game_context", "nba_raw.odds_api_player_points_props"
ALIASES, REGISTRY = "nba_reference.player_aliases", "nba_reference.nba_players_registry"
PREDICTIONS, WORKER_RUNS = PREDICTIONS_TABLE, "nba_predictions.prediction_worker_runs"
BATCHES, BATCH_PLAYERS = f"{OWN_DATASET}.batches", f"{OWN_DATASET}.batch_players"
ALERTS, ACTIONS = f"{OWN_DATASET}.alerts", f"{OWN_DATASET}.actions"
STAGING_TABLES, JOBS = "staging tables", "BigQuery jobs"
LOG, CLOUD_RUN, COORDINATOR, SCHEDULER = "Cloud Logging", "Cloud Run", "the coordinator", "Cloud Scheduler"

# The traces of a run: what a run changes, and a consolidation too.
RUN: Sources = frozenset((PREDICTIONS, WORKER_RUNS, BATCHES, BATCH_PLAYERS, STAGING_TABLES, JOBS, LOG, COORDINATOR))
ALL: Sources = RUN | {CONTEXT, ODDS, ALIASES, REGISTRY, ALERTS, ACTIONS, CLOUD_RUN, SCHEDULER}
