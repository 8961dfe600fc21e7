-- On which dates do business keys have more than one active row, and how many keys? Expected: on none.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @part predictions  the predictions table
SELECT game_date, COUNT(*) AS duplicate_keys
FROM (
  SELECT game_date, game_id, player_lookup, system_id, CAST(current_points_line AS NUMERIC) AS line
  FROM {predictions}
  WHERE game_date BETWEEN @first_date AND @last_date AND is_active
  GROUP BY game_date, game_id, player_lookup, system_id, line
  HAVING COUNT(*) > 1
)
GROUP BY game_date
ORDER BY game_date
