-- The customer's injury reports: a row per player and report.
CREATE TABLE IF NOT EXISTS nba_raw.nbac_injury_report (
  report_date DATE,
  report_hour INT64,
  season STRING,
  game_date DATE,
  game_time STRING,
  game_id STRING,
  matchup STRING,
  away_team STRING,
  home_team STRING,
  team STRING,
  player_name_original STRING,
  player_full_name STRING,
  player_lookup STRING,
  injury_status STRING,
  reason STRING,
  reason_category STRING,
  confidence_score FLOAT64,
  overall_report_confidence FLOAT64,
  scrape_time STRING,
  run_id STRING,
  source_file_path STRING,
  data_hash STRING,
  processed_at TIMESTAMP
)
PARTITION BY report_date
CLUSTER BY player_lookup, game_id, injury_status
