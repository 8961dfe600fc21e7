-- What outcome did the coordinator record for each player of a date? A player may have several records; the newest counts.
-- @listable
-- @param game_date DATE  the slate, in US Eastern
SELECT
  player_lookup,
  batch_id,
  outcome,
  reason,
  message,
  produced_rows,
  staged_rows,
  staging_table,
  attempts,
  recorded_at
FROM prediction_on_call.batch_players
WHERE game_date = @game_date
