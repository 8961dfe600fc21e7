-- Which names of the odds met no context row on their date, and where would a usable alias lead?
-- @param from_date DATE  first slate, in US Eastern
-- @param to_date DATE  last slate
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
context AS (
  SELECT DISTINCT game_date, player_lookup
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @from_date AND @to_date
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
  odds.player_lookup,
  odds.player_name,
  odds.away_team,
  odds.home_team,
  resolved.player_lookup AS alias_canonical
FROM odds
LEFT JOIN context ON context.game_date = odds.game_date AND context.player_lookup = odds.player_lookup
LEFT JOIN usable ON usable.alias_lookup = odds.player_lookup
LEFT JOIN context AS resolved ON resolved.game_date = odds.game_date AND resolved.player_lookup = usable.canonical
WHERE context.player_lookup IS NULL
ORDER BY odds.player_lookup, odds.game_date
