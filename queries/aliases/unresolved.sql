-- Which odds-feed names match no context row on their date, and which player would an active alias give?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  the method and the player of each name
WITH odds AS (
  SELECT
    game_date,
    player_lookup,
    IFNULL(ANY_VALUE(player_name), player_lookup) AS player_name,
    ANY_VALUE(away_team_abbr) AS away_team,
    ANY_VALUE(home_team_abbr) AS home_team
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
  GROUP BY game_date, player_lookup
)
SELECT
  odds.game_date,
  odds.player_lookup,
  odds.player_name,
  odds.away_team,
  odds.home_team,
  resolution.lookup AS alias_canonical
FROM odds
JOIN {resolved_odds_names} AS resolution ON resolution.game_date = odds.game_date AND resolution.name = odds.player_lookup
WHERE resolution.method != 'exact'
ORDER BY odds.player_lookup, odds.game_date
