-- The customer's grades: a row per player, game and prediction system.
CREATE TABLE IF NOT EXISTS nba_predictions.prediction_accuracy (
  player_lookup STRING NOT NULL,
  game_id STRING NOT NULL,
  game_date DATE NOT NULL,
  system_id STRING NOT NULL,
  team_abbr STRING,
  opponent_team_abbr STRING,
  predicted_points NUMERIC,
  confidence_score NUMERIC,
  recommendation STRING,
  line_value NUMERIC,
  actual_points INT64,
  minutes_played NUMERIC,
  absolute_error NUMERIC,
  signed_error NUMERIC,
  prediction_correct BOOL,
  is_voided BOOL,
  void_reason STRING,
  model_version STRING,
  graded_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY system_id, player_lookup
OPTIONS (require_partition_filter = TRUE)
