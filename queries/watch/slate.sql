-- When does each night tip off, how many names have odds, how many of those meet nobody, and how many only through an alias?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
WITH odds AS (
  SELECT game_date, player_lookup, MIN(game_start_time) AS tip_off
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date >= @first_date AND game_date <= @last_date AND player_lookup IS NOT NULL
  GROUP BY game_date, player_lookup
),
context AS (
  SELECT DISTINCT game_date, player_lookup
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date >= @first_date AND game_date <= @last_date
),
usable AS (
  SELECT alias_lookup, MIN(nba_canonical_lookup) AS canonical
  FROM nba_reference.player_aliases
  WHERE is_active AND alias_lookup != nba_canonical_lookup
  GROUP BY alias_lookup
  HAVING COUNT(DISTINCT nba_canonical_lookup) = 1
)
SELECT
  odds.game_date,
  MIN(odds.tip_off) AS tip_off,
  COUNT(*) AS lined,
  COUNTIF(context.player_lookup IS NULL AND resolved.player_lookup IS NULL) AS unresolved,
  COUNTIF(context.player_lookup IS NULL AND resolved.player_lookup IS NOT NULL) AS through_alias
FROM odds
LEFT JOIN context ON context.game_date = odds.game_date AND context.player_lookup = odds.player_lookup
LEFT JOIN usable ON usable.alias_lookup = odds.player_lookup
LEFT JOIN context AS resolved ON resolved.game_date = odds.game_date AND resolved.player_lookup = usable.canonical
GROUP BY odds.game_date
ORDER BY odds.game_date
