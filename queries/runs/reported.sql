-- Which batches do the workers' own run rows tell of for a date?
-- @param game_date DATE  the slate, in US Eastern
-- @param from_time TIMESTAMP  start of the days on which such runs were made
-- @param to_time TIMESTAMP  end of them
SELECT
  batch_id,
  MIN(run_date) AS started_at,
  MAX(created_at) AS ended_at,
  COUNT(DISTINCT player_lookup) AS requested,
  COUNT(DISTINCT IF(success, player_lookup, NULL)) AS generated,
  SUM(predictions_generated) AS produced_rows
FROM nba_predictions.prediction_worker_runs
WHERE game_date = @game_date AND run_date >= @from_time AND run_date < @to_time AND batch_id IS NOT NULL
GROUP BY batch_id
ORDER BY started_at DESC
