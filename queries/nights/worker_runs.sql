-- What did the workers report for each player of a date? A player may have several runs; the newest counts.
-- @param game_date DATE  the slate, in US Eastern
-- @param from_time TIMESTAMP  start of the range of run dates (inclusive)
-- @param to_time TIMESTAMP  end of it (exclusive)
SELECT
  player_lookup,
  batch_id,
  success,
  predictions_generated,
  skip_reason,
  error_message,
  run_date,
  created_at
FROM nba_predictions.prediction_worker_runs
WHERE game_date = @game_date AND run_date >= @from_time AND run_date < @to_time
