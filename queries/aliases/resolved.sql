-- Where does each of these names lead: itself, through one alias, or nowhere?
-- @param names ARRAY<STRING>  names as the odds spell them
WITH known AS (
  SELECT DISTINCT player_lookup FROM nba_reference.nba_players_registry
),
usable AS (
  SELECT alias_lookup, MIN(nba_canonical_lookup) AS canonical
  FROM nba_reference.player_aliases
  WHERE is_active AND alias_lookup != nba_canonical_lookup
  GROUP BY alias_lookup
  HAVING COUNT(DISTINCT nba_canonical_lookup) = 1
)
SELECT
  name,
  COALESCE(exact.player_lookup, canonical.player_lookup) AS lookup,
  CASE
    WHEN exact.player_lookup IS NOT NULL THEN 'exact'
    WHEN canonical.player_lookup IS NOT NULL THEN 'through an alias'
    ELSE 'unresolved'
  END AS how
FROM UNNEST(@names) AS name
LEFT JOIN known AS exact ON exact.player_lookup = name
LEFT JOIN usable ON usable.alias_lookup = name
LEFT JOIN known AS canonical ON canonical.player_lookup = usable.canonical
ORDER BY name
