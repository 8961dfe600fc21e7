-- Where does each name of the odds lead in the context of its own date?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part name_resolution  by which rule
WITH asked AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS name
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
),
known AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS lookup
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
)
SELECT led.scope AS game_date, led.name, led.lookup, led.how
FROM {name_resolution} AS led
