-- Which players of a date does the coordinator ask for, and what does the context say of each?
-- @param game_date DATE  the slate, in US Eastern
-- @param minutes_needed FLOAT64  average minutes below which a player is not asked for
SELECT
  player_lookup,
  universal_player_id,
  game_id,
  team_abbr,
  CAST(avg_minutes_per_game_last_7 AS FLOAT64) AS minutes,
  points_avg_last_5,
  points_avg_last_10,
  current_points_line,
  IFNULL(has_prop_line, FALSE) AS has_prop_line,
  IFNULL(home_game, FALSE) AS home_game,
  IFNULL(days_rest, 1) AS days_rest
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY created_at DESC, game_id) AS age_rank
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date = @game_date AND player_lookup IS NOT NULL
)
WHERE
  age_rank = 1
  AND avg_minutes_per_game_last_7 >= CAST(@minutes_needed AS NUMERIC)
  AND is_production_ready
  AND UPPER(IFNULL(player_status, '')) NOT IN ('OUT', 'DOUBTFUL')
ORDER BY player_lookup
