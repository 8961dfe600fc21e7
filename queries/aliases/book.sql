-- Which aliases are there, active or not?
SELECT
  alias_lookup AS alias,
  nba_canonical_lookup AS canonical,
  IFNULL(is_active, FALSE) AS active,
  IFNULL(alias_display, alias_lookup) AS alias_display,
  IFNULL(nba_canonical_display, nba_canonical_lookup) AS canonical_display,
  alias_type AS kind,
  alias_source AS source,
  notes,
  IFNULL(created_by, '') AS created_by,
  created_at,
  processed_at
FROM nba_reference.player_aliases
WHERE alias_lookup IS NOT NULL AND nba_canonical_lookup IS NOT NULL
ORDER BY alias, canonical
