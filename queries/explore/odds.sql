-- How many rows, players, lines and bookmakers does the odds feed hold, by what is chosen?
-- One row per group, at most one more than a reader shows; a column that is not counted by is NULL.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param by ARRAY<STRING>  what is counted by, of date, player, bookmaker, hour
-- @param player STRING  only this player; empty: all
SELECT
  IF('date' IN UNNEST(@by), game_date, NULL) AS by_date,
  IF('player' IN UNNEST(@by), player_lookup, NULL) AS by_player,
  IF('bookmaker' IN UNNEST(@by), bookmaker, NULL) AS by_bookmaker,
  IF('hour' IN UNNEST(@by), TIMESTAMP_TRUNC(snapshot_timestamp, HOUR), NULL) AS by_hour,
  COUNT(*) AS row_count,
  COUNT(DISTINCT player_lookup) AS players,
  COUNT(DISTINCT CONCAT(game_id, ' ', player_lookup, ' ', CAST(points_line AS STRING))) AS line_count,
  COUNT(DISTINCT bookmaker) AS bookmakers
FROM nba_raw.odds_api_player_points_props
WHERE game_date BETWEEN @first_date AND @last_date AND (@player = '' OR player_lookup = @player)
GROUP BY 1, 2, 3, 4
ORDER BY 1 DESC, 4 DESC, row_count DESC, 2, 3
LIMIT 5001
