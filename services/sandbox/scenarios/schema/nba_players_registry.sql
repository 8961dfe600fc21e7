-- The customer's registry: a row per player, team and season.
CREATE TABLE IF NOT EXISTS nba_reference.nba_players_registry (
  universal_player_id STRING,
  player_name STRING NOT NULL,
  player_lookup STRING NOT NULL,
  team_abbr STRING NOT NULL,
  season STRING NOT NULL,
  first_game_date DATE,
  last_game_date DATE,
  games_played INT64,
  jersey_number INT64,
  position STRING,
  source_priority STRING,
  confidence_score FLOAT64,
  last_processor STRING,
  created_by STRING,
  created_at TIMESTAMP,
  processed_at TIMESTAMP
)
CLUSTER BY universal_player_id, player_lookup, season, team_abbr
