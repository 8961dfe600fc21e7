-- The customer's odds: append-only snapshots, several books and snapshots per player.
CREATE TABLE IF NOT EXISTS nba_raw.odds_api_player_points_props (
  game_id STRING NOT NULL,
  odds_api_event_id STRING NOT NULL,
  game_date DATE NOT NULL,
  game_start_time TIMESTAMP,
  home_team_abbr STRING NOT NULL,
  away_team_abbr STRING NOT NULL,
  snapshot_timestamp TIMESTAMP NOT NULL,
  snapshot_tag STRING,
  capture_timestamp TIMESTAMP,
  minutes_before_tipoff INT64,
  bookmaker STRING NOT NULL,
  player_name STRING NOT NULL,
  player_lookup STRING,
  points_line FLOAT64 NOT NULL,
  over_price FLOAT64,
  over_price_american INT64,
  under_price FLOAT64,
  under_price_american INT64,
  bookmaker_last_update TIMESTAMP,
  source_file_path STRING,
  data_source STRING,
  data_hash STRING,
  processed_at TIMESTAMP
)
PARTITION BY game_date
CLUSTER BY player_lookup, game_date, bookmaker
