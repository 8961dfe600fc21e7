-- The customer's predictions table: the columns that the dashboard and the write path use.
CREATE TABLE IF NOT EXISTS nba_predictions.player_prop_predictions (
  prediction_id STRING NOT NULL,
  system_id STRING NOT NULL,
  player_lookup STRING NOT NULL,
  universal_player_id STRING,
  game_date DATE NOT NULL,
  game_id STRING NOT NULL,
  prediction_version INT64 NOT NULL,
  predicted_points NUMERIC NOT NULL,
  confidence_score NUMERIC NOT NULL,
  recommendation STRING NOT NULL,
  current_points_line NUMERIC,
  line_margin NUMERIC,
  has_prop_line BOOL,
  line_source STRING,
  line_source_api STRING,
  sportsbook STRING,
  prediction_run_mode STRING,
  feature_quality_score FLOAT64,
  is_active BOOL NOT NULL,
  superseded BOOL,
  superseded_at TIMESTAMP,
  superseded_reason STRING,
  model_version STRING,
  deployment_revision STRING,
  prediction_made_before_game BOOL,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY system_id, player_lookup
