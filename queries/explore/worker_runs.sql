-- How many runs of how many players did the workers report, with how many rows generated, by what is chosen?
-- One row per group, at most one more than a reader shows; a column that is not counted by is NULL.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param from_time TIMESTAMP  start of the range of run dates (inclusive)
-- @param to_time TIMESTAMP  end of it (exclusive)
-- @param by ARRAY<STRING>  what is counted by, of date, player, batch, hour
-- @param player STRING  only this player; empty: all
-- @param batch STRING  only this batch; empty: all
SELECT
  IF('date' IN UNNEST(@by), game_date, NULL) AS by_date,
  IF('player' IN UNNEST(@by), player_lookup, NULL) AS by_player,
  IF('batch' IN UNNEST(@by), batch_id, NULL) AS by_batch,
  IF('hour' IN UNNEST(@by), TIMESTAMP_TRUNC(run_date, HOUR), NULL) AS by_hour,
  COUNT(*) AS run_count,
  COUNTIF(success) AS successful_runs,
  COUNT(DISTINCT player_lookup) AS players,
  SUM(predictions_generated) AS generated_rows
FROM nba_predictions.prediction_worker_runs
WHERE game_date BETWEEN @first_date AND @last_date
  AND run_date >= @from_time AND run_date < @to_time
  AND (@player = '' OR player_lookup = @player)
  AND (@batch = '' OR batch_id = @batch)
GROUP BY 1, 2, 3, 4
ORDER BY 1 DESC, 4 DESC, run_count DESC, 2, 3
LIMIT 5001
