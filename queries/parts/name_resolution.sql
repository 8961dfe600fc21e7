-- Which candidate does each name resolve to: itself, else through one alias, else none?
-- A fragment: it follows the CTEs `names` (scope, name) and `candidates` (scope, lookup), each pair once.
-- One hop only, so that no chain and no cycle is followed; an alias that is inactive, maps to itself or to two names is ignored.
-- services/names/resolver.py gives the same answers.
SELECT
  names.scope,
  names.name,
  COALESCE(exact_match.lookup, alias_match.lookup) AS `lookup`,
  CASE
    WHEN exact_match.lookup IS NOT NULL THEN 'exact'
    WHEN alias_match.lookup IS NOT NULL THEN 'through an alias'
    ELSE 'unresolved'
  END AS method
FROM names
LEFT JOIN candidates AS exact_match ON exact_match.scope = names.scope AND exact_match.lookup = names.name
LEFT JOIN (
  SELECT alias_lookup, MIN(nba_canonical_lookup) AS canonical
  FROM nba_reference.player_aliases
  WHERE is_active AND alias_lookup != nba_canonical_lookup
  GROUP BY alias_lookup
  HAVING COUNT(DISTINCT nba_canonical_lookup) = 1
) AS active_alias ON active_alias.alias_lookup = names.name
LEFT JOIN candidates AS alias_match ON alias_match.scope = names.scope AND alias_match.lookup = active_alias.canonical
