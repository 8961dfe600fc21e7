-- How many rows of these staging tables are missing from the predictions table, and how many have other values there?
-- @table staging  tables of one schema, with the name of each in our_table
-- @param first_date DATE  the first game date of their rows
-- @param last_date DATE  the last game date of their rows
-- @part predictions  the predictions table
WITH staged AS (
  SELECT
    our_table,
    game_date,
    game_id,
    player_lookup,
    system_id,
    IFNULL(CAST(CAST(current_points_line AS NUMERIC) AS STRING), 'no line') AS line,
    CONCAT(
      IFNULL(CAST(CAST(predicted_points AS NUMERIC) AS STRING), ''), '|',
      IFNULL(CAST(CAST(confidence_score AS NUMERIC) AS STRING), ''), '|',
      IFNULL(CAST(CAST(line_margin AS NUMERIC) AS STRING), ''), '|',
      IFNULL(recommendation, ''), '|', IFNULL(line_source, ''), '|', IFNULL(model_version, '')
    ) AS row_values,
    CONCAT(
      IFNULL(prediction_id, ''), '|', IFNULL(CAST(is_active AS STRING), ''), '|', IFNULL(CAST(created_at AS STRING), '')
    ) AS row_identity
  FROM {staging}
),
predictions AS (
  SELECT
    game_date,
    game_id,
    player_lookup,
    system_id,
    IFNULL(CAST(CAST(current_points_line AS NUMERIC) AS STRING), 'no line') AS line,
    ARRAY_AGG(
      CONCAT(
        IFNULL(CAST(CAST(predicted_points AS NUMERIC) AS STRING), ''), '|',
        IFNULL(CAST(CAST(confidence_score AS NUMERIC) AS STRING), ''), '|',
        IFNULL(CAST(CAST(line_margin AS NUMERIC) AS STRING), ''), '|',
        IFNULL(recommendation, ''), '|', IFNULL(line_source, ''), '|', IFNULL(model_version, '')
      )
    ) AS stored_row_values
  FROM {predictions}
  WHERE game_date BETWEEN @first_date AND @last_date
  GROUP BY game_date, game_id, player_lookup, system_id, line
)
SELECT
  staged.our_table,
  COUNT(*) AS staged_rows,
  COUNTIF(predictions.player_lookup IS NULL) AS missing_rows,
  COUNTIF(
    predictions.player_lookup IS NOT NULL
    AND NOT IFNULL(staged.row_values IN UNNEST(predictions.stored_row_values), FALSE)
  ) AS changed_rows,
  FARM_FINGERPRINT(
    STRING_AGG(
      CONCAT(
        IFNULL(CAST(staged.game_date AS STRING), ''), '|', IFNULL(staged.game_id, ''), '|',
        IFNULL(staged.player_lookup, ''), '|', IFNULL(staged.system_id, ''), '|', staged.line, '|', staged.row_values, '|',
        staged.row_identity
      ),
      '|' ORDER BY staged.player_lookup, staged.system_id, staged.line, staged.row_identity
    )
  ) AS fingerprint
FROM staged
LEFT JOIN predictions
  ON predictions.game_date = staged.game_date
  AND predictions.game_id = staged.game_id
  AND predictions.player_lookup = staged.player_lookup
  AND predictions.system_id = staged.system_id
  AND predictions.line = staged.line
GROUP BY staged.our_table
ORDER BY staged.our_table
