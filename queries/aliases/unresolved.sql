-- Which names of the odds met no context row on their date, and where would a usable alias lead?
-- @param from_date DATE  first slate, in US Eastern
-- @param to_date DATE  last slate
-- @part resolver  where each leads
WITH odds AS (
  SELECT
    game_date,
    player_lookup,
    IFNULL(ANY_VALUE(player_name), player_lookup) AS player_name,
    ANY_VALUE(away_team_abbr) AS away_team,
    ANY_VALUE(home_team_abbr) AS home_team
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @from_date AND @to_date AND player_lookup IS NOT NULL
  GROUP BY game_date, player_lookup
),
asked AS (
  SELECT game_date AS scope, player_lookup AS name FROM odds
),
known AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS lookup
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @from_date AND @to_date
)
SELECT
  odds.game_date,
  odds.player_lookup,
  odds.player_name,
  odds.away_team,
  odds.home_team,
  led.lookup AS alias_canonical
FROM odds
JOIN {resolver} AS led ON led.scope = odds.game_date AND led.name = odds.player_lookup
WHERE led.how != 'exact'
ORDER BY odds.player_lookup, odds.game_date
