-- The customer's box scores: a row per player and game.
CREATE TABLE IF NOT EXISTS nba_analytics.player_game_summary (
  player_lookup STRING NOT NULL,
  universal_player_id STRING,
  player_full_name STRING,
  game_id STRING NOT NULL,
  game_date DATE NOT NULL,
  team_abbr STRING NOT NULL,
  opponent_team_abbr STRING NOT NULL,
  season_year INT64 NOT NULL,
  points INT64,
  minutes_played INT64,
  starter_flag BOOL NOT NULL,
  win_flag BOOL NOT NULL,
  points_line NUMERIC,
  over_under_result STRING,
  margin NUMERIC,
  is_active BOOL NOT NULL,
  player_status STRING,
  data_quality_tier STRING,
  created_at TIMESTAMP,
  processed_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY universal_player_id, player_lookup, team_abbr
