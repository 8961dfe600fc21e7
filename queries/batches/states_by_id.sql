-- What has been recorded of one batch, change by change?
-- @param batch_id STRING  the batch
-- @param game_date DATE  its slate
SELECT *
FROM prediction_on_call.batches
WHERE batch_id = @batch_id AND game_date = @game_date
ORDER BY sequence DESC
