-- What did the workers themselves say of each player of a date? The newest run of a player counts.
-- @param game_date DATE  the slate, in US Eastern
-- @param from_time TIMESTAMP  start of the days on which such runs were made
-- @param to_time TIMESTAMP  end of them
SELECT player_lookup, batch_id, success, predictions_generated, skip_reason, error_message, run_date
FROM (
  SELECT
    player_lookup,
    batch_id,
    success,
    predictions_generated,
    skip_reason,
    error_message,
    run_date,
    ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY run_date DESC) AS age_rank
  FROM nba_predictions.prediction_worker_runs
  WHERE game_date = @game_date AND run_date >= @from_time AND run_date < @to_time AND player_lookup IS NOT NULL
)
WHERE age_rank = 1
ORDER BY player_lookup
