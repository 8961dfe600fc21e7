-- The customer's queue of names that did not resolve.
CREATE TABLE IF NOT EXISTS nba_reference.unresolved_player_names (
  source STRING NOT NULL,
  original_name STRING NOT NULL,
  normalized_lookup STRING NOT NULL,
  first_seen_date DATE NOT NULL,
  last_seen_date DATE NOT NULL,
  team_abbr STRING,
  season STRING,
  occurrences INT64 NOT NULL,
  example_games ARRAY<STRING>,
  status STRING NOT NULL,
  resolution_type STRING,
  resolved_to_name STRING,
  notes STRING,
  snooze_until DATE,
  reviewed_by STRING,
  reviewed_at TIMESTAMP,
  created_at TIMESTAMP NOT NULL,
  processed_at TIMESTAMP NOT NULL
)
PARTITION BY first_seen_date
CLUSTER BY status, source, normalized_lookup
