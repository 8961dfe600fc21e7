-- The customer's context per player and game; a player may have several rows, the newest counts.
CREATE TABLE IF NOT EXISTS nba_analytics.upcoming_player_game_context (
  player_lookup STRING NOT NULL,
  universal_player_id STRING,
  player_name STRING,
  game_id STRING NOT NULL,
  game_date DATE NOT NULL,
  team_abbr STRING,
  opponent_team_abbr STRING,
  home_game BOOL,
  has_prop_line BOOL,
  current_points_line NUMERIC,
  opening_points_line NUMERIC,
  current_points_line_source STRING,
  back_to_back BOOL,
  days_rest INT64,
  games_in_last_7_days INT64,
  avg_minutes_per_game_last_7 NUMERIC,
  points_avg_last_5 NUMERIC,
  points_avg_last_10 NUMERIC,
  player_status STRING,
  completeness_percentage FLOAT64,
  is_production_ready BOOL,
  circuit_breaker_active BOOL,
  context_version INT64,
  created_at TIMESTAMP,
  processed_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY player_lookup, universal_player_id
