-- How many rows, players, systems, lines and duplicates does the predictions table hold, by what is chosen?
-- One row per group, at most one more than a reader shows; a column that is not counted by is NULL.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param by ARRAY<STRING>  what is counted by, of date, system, player, active, hour
-- @param player STRING  only this player; empty: all
-- @param system STRING  only this system; empty: all
-- @param active STRING  yes: only active rows, no: only others; empty: both
-- @part predictions  the predictions table
SELECT
  IF('date' IN UNNEST(@by), game_date, NULL) AS by_date,
  IF('system' IN UNNEST(@by), system_id, NULL) AS by_system,
  IF('player' IN UNNEST(@by), player_lookup, NULL) AS by_player,
  IF('active' IN UNNEST(@by), is_active, NULL) AS by_active,
  IF('hour' IN UNNEST(@by), TIMESTAMP_TRUNC(created_at, HOUR), NULL) AS by_hour,
  COUNT(*) AS row_count,
  COUNTIF(is_active) AS active_rows,
  COUNT(DISTINCT player_lookup) AS players,
  COUNT(DISTINCT system_id) AS systems,
  COUNT(DISTINCT CONCAT(game_id, ' ', player_lookup, ' ', line)) AS line_count,
  COUNTIF(is_active AND place_in_key > 1) AS duplicate_rows
FROM (
  SELECT
    game_date,
    game_id,
    system_id,
    player_lookup,
    is_active,
    created_at,
    IFNULL(CAST(CAST(current_points_line AS NUMERIC) AS STRING), 'none') AS line,
    ROW_NUMBER() OVER (
      PARTITION BY game_date, game_id, player_lookup, system_id, CAST(current_points_line AS NUMERIC), is_active
      ORDER BY created_at
    ) AS place_in_key
  FROM {predictions}
  WHERE game_date BETWEEN @first_date AND @last_date
    AND (@player = '' OR player_lookup = @player)
    AND (@system = '' OR system_id = @system)
    AND (@active = '' OR is_active = (@active = 'yes'))
)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1 DESC, 5 DESC, row_count DESC, 2, 3, 4
LIMIT 5001
