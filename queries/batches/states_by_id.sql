-- Which states has one batch been in?
-- @param batch_id STRING  the batch id
-- @param game_date DATE  the slate, in US Eastern
SELECT *
FROM prediction_on_call.batches
WHERE batch_id = @batch_id AND game_date = @game_date
ORDER BY sequence DESC
