-- How many business keys of a game date have more than one active row? Expected: none.
-- @param game_date DATE  the slate, in US Eastern
-- @part predictions  the predictions table
SELECT COUNT(*) AS duplicate_keys
FROM (
  SELECT game_id, player_lookup, system_id, CAST(current_points_line AS NUMERIC) AS line
  FROM {predictions}
  WHERE game_date = @game_date AND is_active
  GROUP BY game_id, player_lookup, system_id, line
  HAVING COUNT(*) > 1
)
