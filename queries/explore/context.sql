-- How many rows, players and production-ready players does the game context hold, by what is chosen?
-- One row per group, at most one more than a reader shows; a column that is not counted by is NULL.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param by ARRAY<STRING>  what is counted by, of date, player, team, hour
-- @param player STRING  only this player; empty: all
SELECT
  IF('date' IN UNNEST(@by), game_date, NULL) AS by_date,
  IF('player' IN UNNEST(@by), player_lookup, NULL) AS by_player,
  IF('team' IN UNNEST(@by), team_abbr, NULL) AS by_team,
  IF('hour' IN UNNEST(@by), TIMESTAMP_TRUNC(created_at, HOUR), NULL) AS by_hour,
  COUNT(*) AS row_count,
  COUNT(DISTINCT player_lookup) AS players,
  COUNT(DISTINCT game_id) AS games,
  COUNT(DISTINCT IF(is_production_ready, player_lookup, NULL)) AS ready_players
FROM nba_analytics.upcoming_player_game_context
WHERE game_date BETWEEN @first_date AND @last_date AND (@player = '' OR player_lookup = @player)
GROUP BY 1, 2, 3, 4
ORDER BY 1 DESC, 4 DESC, row_count DESC, 2, 3
LIMIT 5001
