-- Which player in the context of its own date does each name of the odds feed resolve to?
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part name_resolution  the method and the player of each name
WITH names AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS name
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
),
candidates AS (
  SELECT DISTINCT game_date AS scope, player_lookup AS `lookup`
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
)
SELECT resolution.scope AS game_date, resolution.name, resolution.lookup, resolution.method
FROM {name_resolution} AS resolution
