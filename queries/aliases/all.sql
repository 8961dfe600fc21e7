-- Which aliases exist, active or not?
-- @listable
SELECT
  alias_lookup AS alias,
  nba_canonical_lookup AS canonical,
  is_active AS active,
  alias_display,
  nba_canonical_display AS canonical_display,
  alias_type AS kind,
  alias_source AS source,
  notes,
  created_by,
  created_at,
  processed_at
FROM nba_reference.player_aliases
