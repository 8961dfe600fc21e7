-- The customer's queue of names that did not resolve.
CREATE TABLE IF NOT EXISTS nba_reference.unresolved_player_names (
  source STRING NOT NULL,
  original_name STRING NOT NULL,
  normalized_lookup STRING NOT NULL,
  first_seen_date DATE NOT NULL,
  last_seen_date DATE,
  team_abbr STRING,
  season STRING,
  occurrences INT64,
  status STRING,
  resolution_type STRING,
  resolved_to_name STRING,
  notes STRING,
  created_at TIMESTAMP
)
PARTITION BY first_seen_date
CLUSTER BY status, source, normalized_lookup
