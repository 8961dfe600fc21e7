-- Which rows does the predictions table hold for a date, which of them are active, and why are the others superseded?
-- @listable
-- @param game_date DATE  the slate, in US Eastern
-- @part predictions  the predictions table
SELECT
  game_date,
  game_id,
  player_lookup,
  system_id,
  current_points_line,
  prediction_id,
  created_at,
  is_active,
  superseded_reason
FROM {predictions}
WHERE game_date = @game_date
