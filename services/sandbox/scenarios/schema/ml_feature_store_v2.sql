-- The customer's features: a row per player and game, with how good they are.
CREATE TABLE IF NOT EXISTS nba_predictions.ml_feature_store_v2 (
  player_lookup STRING NOT NULL,
  universal_player_id STRING,
  game_date DATE NOT NULL,
  game_id STRING NOT NULL,
  feature_count INT64 NOT NULL,
  feature_version STRING NOT NULL,
  feature_generation_time_ms INT64,
  feature_quality_score NUMERIC,
  opponent_team_abbr STRING,
  is_home BOOL,
  days_rest INT64,
  data_source STRING NOT NULL,
  early_season_flag BOOL,
  completeness_percentage FLOAT64,
  is_production_ready BOOL,
  quality_tier STRING,
  default_feature_count INT64,
  is_quality_ready BOOL,
  data_hash STRING,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY player_lookup
