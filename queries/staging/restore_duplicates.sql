-- Make active again the rows that one removal of duplicates superseded, and delete the copies that it made of exact twins.
-- @param game_date DATE  the slate, in US Eastern
-- @param removal STRING  the superseded_reason that the removal wrote
-- @param at TIMESTAMP  when they are restored
-- @part predictions  the predictions table
MERGE {predictions} AS T
USING (
  SELECT DISTINCT
    game_id, player_lookup, system_id, CAST(current_points_line AS NUMERIC) AS line, prediction_id, created_at
  FROM {predictions}
  WHERE game_date = @game_date AND superseded_reason = @removal
) AS S
ON T.game_date = @game_date
  AND T.game_id = S.game_id
  AND T.player_lookup = S.player_lookup
  AND T.system_id = S.system_id
  AND (CAST(T.current_points_line AS NUMERIC) = S.line OR (T.current_points_line IS NULL AND S.line IS NULL))
  AND T.prediction_id = S.prediction_id
  AND T.created_at = S.created_at
WHEN MATCHED AND T.superseded_reason = @removal
  THEN UPDATE SET is_active = TRUE, superseded = FALSE, superseded_at = NULL, superseded_reason = NULL, updated_at = @at
WHEN MATCHED AND T.is_active THEN DELETE
