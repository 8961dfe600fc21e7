-- What did our own coordinator record of each player of a date? The newest record of a player counts.
-- @param game_date DATE  the slate, in US Eastern
SELECT player_lookup, batch_id, outcome, reason, message, produced_rows, staged_rows, staging_table, recorded_at
FROM (
  SELECT
    player_lookup,
    batch_id,
    outcome,
    reason,
    message,
    produced_rows,
    staged_rows,
    staging_table,
    recorded_at,
    ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY recorded_at DESC, attempts DESC) AS age_rank
  FROM prediction_on_call.batch_players
  WHERE game_date = @game_date
)
WHERE age_rank = 1
ORDER BY player_lookup
