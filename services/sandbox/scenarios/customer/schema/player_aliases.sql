-- The customer's aliases: alias name to canonical name.
CREATE TABLE IF NOT EXISTS nba_reference.player_aliases (
  alias_lookup STRING NOT NULL,
  nba_canonical_lookup STRING NOT NULL,
  alias_display STRING NOT NULL,
  nba_canonical_display STRING NOT NULL,
  alias_type STRING,
  alias_source STRING,
  is_active BOOL NOT NULL,
  notes STRING,
  created_by STRING NOT NULL,
  created_at TIMESTAMP NOT NULL,
  processed_at TIMESTAMP NOT NULL
)
CLUSTER BY alias_lookup, nba_canonical_lookup
