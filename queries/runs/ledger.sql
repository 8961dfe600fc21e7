-- Which batches has our coordinator recorded for a date, and where does each stand?
-- @param game_date DATE  the slate, in US Eastern
SELECT * EXCEPT (age_rank)
FROM (
  SELECT
    batch_id,
    game_date,
    state,
    recorded_at,
    started_by,
    reason,
    requested,
    generated,
    produced_rows,
    staged_rows,
    inserted,
    updated,
    unchanged,
    active_players,
    active_rows,
    MIN(recorded_at) OVER (PARTITION BY batch_id) AS started_at,
    ROW_NUMBER() OVER (PARTITION BY batch_id ORDER BY sequence DESC) AS age_rank
  FROM prediction_on_call.batches
  WHERE game_date = @game_date
)
WHERE age_rank = 1
ORDER BY started_at DESC
