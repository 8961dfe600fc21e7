-- What outcome does each player of one batch have? The newest record of a player counts.
-- @param batch_id STRING  the batch id
-- @param game_date DATE  the slate, in US Eastern
SELECT * EXCEPT (recency_rank)
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY recorded_at DESC) AS recency_rank
  FROM prediction_on_call.batch_players
  WHERE batch_id = @batch_id AND game_date = @game_date
)
WHERE recency_rank = 1
ORDER BY player_lookup
