-- How many names of the odds lead into the context of their date by themselves, how many through an alias, how many not at all?
-- @param from_date DATE  first slate, in US Eastern
-- @param to_date DATE  last slate
-- @part resolver  where each leads
WITH asked AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS name
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @from_date AND @to_date AND player_lookup IS NOT NULL
),
known AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS lookup
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @from_date AND @to_date
)
SELECT
  led.scope AS game_date,
  COUNTIF(led.how = 'exact') AS exact,
  COUNTIF(led.how = 'through an alias') AS by_alias,
  COUNTIF(led.how = 'unresolved') AS unresolved
FROM {resolver} AS led
GROUP BY led.scope
ORDER BY led.scope
