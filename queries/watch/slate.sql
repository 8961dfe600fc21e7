-- When does each night tip off, how many names have odds, and how many of those are not in the context?
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
)
SELECT
  odds.game_date,
  MIN(odds.tip_off) AS tip_off,
  COUNT(*) AS lined,
  COUNTIF(context.player_lookup IS NULL) AS unresolved
FROM odds
LEFT JOIN context ON context.game_date = odds.game_date AND context.player_lookup = odds.player_lookup
GROUP BY odds.game_date
ORDER BY odds.game_date
