-- What was the context status of these players on each date: status, average minutes, production-ready? The newest row counts.
-- @param lookups ARRAY<STRING>  player_lookup values
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
SELECT game_date, player_lookup, player_status AS status, minutes, is_production_ready AS production_ready
FROM (
  SELECT
    game_date,
    player_lookup,
    player_status,
    CAST(avg_minutes_per_game_last_7 AS FLOAT64) AS minutes,
    is_production_ready,
    ROW_NUMBER() OVER (PARTITION BY game_date, player_lookup ORDER BY created_at DESC, game_id) AS recency_rank
  FROM nba_analytics.upcoming_player_game_context
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IN UNNEST(@lookups)
)
WHERE recency_rank = 1
ORDER BY player_lookup, game_date
