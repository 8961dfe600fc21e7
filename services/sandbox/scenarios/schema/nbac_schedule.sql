-- The customer's schedule: a row per game and status, appended.
CREATE TABLE IF NOT EXISTS nba_raw.nbac_schedule (
  game_id STRING NOT NULL,
  game_code STRING NOT NULL,
  season STRING NOT NULL,
  season_nba_format STRING NOT NULL,
  season_year INT64 NOT NULL,
  game_date DATE NOT NULL,
  game_date_est TIMESTAMP,
  game_status INT64,
  game_status_text STRING,
  home_team_id INT64 NOT NULL,
  home_team_tricode STRING NOT NULL,
  home_team_name STRING NOT NULL,
  away_team_id INT64 NOT NULL,
  away_team_tricode STRING NOT NULL,
  away_team_name STRING NOT NULL,
  home_team_score INT64,
  away_team_score INT64,
  data_source STRING,
  source_file_path STRING NOT NULL,
  scrape_timestamp TIMESTAMP,
  created_at TIMESTAMP NOT NULL,
  data_hash STRING,
  processed_at TIMESTAMP NOT NULL
)
PARTITION BY game_date
CLUSTER BY data_source, home_team_tricode, away_team_tricode, season_year
OPTIONS (require_partition_filter = TRUE)
