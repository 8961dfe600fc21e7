-- Where does each asked name lead among the known: to itself, else through one alias, else nowhere? The one resolver.
-- It stands after CTEs `asked` (scope, name) and `known` (scope, lookup), each pair once. One hop only, so that no chain and no cycle
-- is followed; an alias that is inactive, leads to itself or to two names is not. services/names/resolver.py gives the same answers.
SELECT
  asked.scope,
  asked.name,
  COALESCE(exact.lookup, through.lookup) AS lookup,
  CASE
    WHEN exact.lookup IS NOT NULL THEN 'exact'
    WHEN through.lookup IS NOT NULL THEN 'through an alias'
    ELSE 'unresolved'
  END AS how
FROM asked
LEFT JOIN known AS exact ON exact.scope = asked.scope AND exact.lookup = asked.name
LEFT JOIN (
  SELECT alias_lookup, MIN(nba_canonical_lookup) AS canonical
  FROM nba_reference.player_aliases
  WHERE is_active AND alias_lookup != nba_canonical_lookup
  GROUP BY alias_lookup
  HAVING COUNT(DISTINCT nba_canonical_lookup) = 1
) AS usable ON usable.alias_lookup = asked.name
LEFT JOIN known AS through ON through.scope = asked.scope AND through.lookup = usable.canonical
