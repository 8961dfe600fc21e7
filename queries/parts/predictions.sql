-- Which table holds the predictions? The same name as PREDICTIONS_TABLE in services/core/tables.py.
nba_predictions.player_prop_predictions
