-- Which batch states did the coordinator record for a date? A batch's highest sequence is its current state.
-- @listable
-- @param game_date DATE  the slate, in US Eastern
SELECT
  batch_id,
  game_date,
  state,
  sequence,
  recorded_at,
  holder,
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
  active_rows
FROM prediction_on_call.batches
WHERE game_date = @game_date
