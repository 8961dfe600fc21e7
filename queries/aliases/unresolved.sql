-- Which names of the odds met no context row on their date, and where would a usable alias lead?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part resolved_odds_names  where each leads
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
  led.lookup AS alias_canonical
FROM odds
JOIN {resolved_odds_names} AS led ON led.game_date = odds.game_date AND led.name = odds.player_lookup
WHERE led.how != 'exact'
ORDER BY odds.player_lookup, odds.game_date
