-- What became of each player of one batch? The newest record of a player counts.
-- @param batch_id STRING  the batch
-- @param game_date DATE  its slate
SELECT * EXCEPT (age_rank)
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY recorded_at DESC) AS age_rank
  FROM prediction_on_call.batch_players
  WHERE batch_id = @batch_id AND game_date = @game_date
)
WHERE age_rank = 1
ORDER BY player_lookup
