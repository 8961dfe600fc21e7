-- Which batch states did the coordinator record for these dates? A batch's highest sequence is its current state.
-- @listable
-- @param first_date DATE  the first slate, in US Eastern
-- @param last_date DATE  the last slate
SELECT
  batch_id,
  game_date,
  state,
  sequence
FROM prediction_on_call.batches
WHERE game_date >= @first_date AND game_date <= @last_date
