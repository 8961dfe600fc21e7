-- When does each night tip off, how many names have odds, how many of those meet nobody, and how many only through an alias?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  where each name of the odds leads
WITH odds AS (
  SELECT game_date, player_lookup, MIN(game_start_time) AS tip_off
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date >= @first_date AND game_date <= @last_date AND player_lookup IS NOT NULL
  GROUP BY game_date, player_lookup
)
SELECT
  odds.game_date,
  MIN(odds.tip_off) AS tip_off,
  COUNT(*) AS lined,
  COUNTIF(led.how = 'unresolved') AS unresolved,
  COUNTIF(led.how = 'through an alias') AS through_alias
FROM odds
JOIN {resolved_odds_names} AS led ON led.game_date = odds.game_date AND led.name = odds.player_lookup
GROUP BY odds.game_date
ORDER BY odds.game_date
