-- Where does each of these names lead in the registry: itself, through one alias, or nowhere?
-- @param names ARRAY<STRING>  names as the odds spell them
-- @part name_resolution  where each leads
WITH known AS (
  SELECT DISTINCT 'registry' AS scope, player_lookup AS lookup FROM nba_reference.nba_players_registry
),
asked AS (
  SELECT DISTINCT 'registry' AS scope, name FROM UNNEST(@names) AS name
)
SELECT led.name, led.lookup, led.how
FROM {name_resolution} AS led
ORDER BY led.name
