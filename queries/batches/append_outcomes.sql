-- Record the outcomes of a batch's players: one job for all of them.
-- @param batch_id STRING  the batch id
-- @param game_date DATE  the slate, in US Eastern
-- @param rows ARRAY<STRING>  one player's outcome as JSON per item
INSERT INTO prediction_on_call.batch_players (
  batch_id, game_date, player_lookup, unit, outcome, reason, message, produced_rows, staged_rows, staging_table,
  load_job_id, attempts, recorded_at
)
SELECT
  @batch_id,
  @game_date,
  JSON_VALUE(item, '$.player_lookup'),
  JSON_VALUE(item, '$.unit'),
  JSON_VALUE(item, '$.outcome'),
  JSON_VALUE(item, '$.reason'),
  JSON_VALUE(item, '$.message'),
  CAST(JSON_VALUE(item, '$.produced_rows') AS INT64),
  CAST(JSON_VALUE(item, '$.staged_rows') AS INT64),
  JSON_VALUE(item, '$.staging_table'),
  JSON_VALUE(item, '$.load_job_id'),
  CAST(JSON_VALUE(item, '$.attempts') AS INT64),
  CAST(JSON_VALUE(item, '$.recorded_at') AS TIMESTAMP)
FROM UNNEST(@rows) AS item
