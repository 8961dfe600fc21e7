-- Which rows are in the predictions table for a date, per player and system, active or not?
-- @param game_date DATE  the slate, in US Eastern
SELECT
  IFNULL(player_lookup, 'no player') AS player_lookup,
  IFNULL(system_id, 'no system') AS system_id,
  COUNT(*) AS written_rows,
  COUNTIF(is_active) AS active_rows,
  COUNTIF(IFNULL(superseded, FALSE)) AS superseded_rows
FROM nba_predictions.player_prop_predictions
WHERE game_date = @game_date
GROUP BY player_lookup, system_id
ORDER BY player_lookup, system_id
