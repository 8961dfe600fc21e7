-- When does each game date tip off, and how many names have odds, are unresolved, or resolve only through an alias?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  the method of each name
WITH odds AS (
  SELECT game_date, player_lookup, MIN(game_start_time) AS tip_off
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date >= @first_date AND game_date <= @last_date AND player_lookup IS NOT NULL
  GROUP BY game_date, player_lookup
)
SELECT
  odds.game_date,
  MIN(odds.tip_off) AS tip_off,
  COUNT(*) AS with_odds,
  COUNTIF(resolution.method = 'unresolved') AS unresolved,
  COUNTIF(resolution.method = 'through an alias') AS resolved_by_alias
FROM odds
JOIN {resolved_odds_names} AS resolution ON resolution.game_date = odds.game_date AND resolution.name = odds.player_lookup
GROUP BY odds.game_date
ORDER BY odds.game_date
