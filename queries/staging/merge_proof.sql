-- How many rows of each of these staging tables does the predictions table not hold: by key, and by key and values?
-- @table staging  the tables' common prefix, ending in *
-- @param suffixes ARRAY<STRING>  what follows the prefix in each table's name
-- @param first_date DATE  the first game date in them
-- @param last_date DATE  the last game date in them
WITH staged AS (
  SELECT
    _TABLE_SUFFIX AS suffix,
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
    ) AS worth,
    CONCAT(
      IFNULL(prediction_id, ''), '|', IFNULL(CAST(is_active AS STRING), ''), '|', IFNULL(CAST(created_at AS STRING), '')
    ) AS identity
  FROM {staging}
  WHERE _TABLE_SUFFIX IN UNNEST(@suffixes)
),
held AS (
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
    ) AS worths
  FROM nba_predictions.player_prop_predictions
  WHERE game_date BETWEEN @first_date AND @last_date
  GROUP BY game_date, game_id, player_lookup, system_id, line
)
SELECT
  staged.suffix,
  COUNT(*) AS staged_rows,
  COUNTIF(held.player_lookup IS NULL) AS absent_rows,
  COUNTIF(held.player_lookup IS NOT NULL AND NOT IFNULL(staged.worth IN UNNEST(held.worths), FALSE)) AS differing_rows,
  FARM_FINGERPRINT(
    STRING_AGG(
      CONCAT(
        IFNULL(CAST(staged.game_date AS STRING), ''), '|', IFNULL(staged.game_id, ''), '|',
        IFNULL(staged.player_lookup, ''), '|', IFNULL(staged.system_id, ''), '|', staged.line, '|', staged.worth, '|',
        staged.identity
      ),
      '|' ORDER BY staged.player_lookup, staged.system_id, staged.line, staged.identity
    )
  ) AS fingerprint
FROM staged
LEFT JOIN held
  ON held.game_date = staged.game_date
  AND held.game_id = staged.game_id
  AND held.player_lookup = staged.player_lookup
  AND held.system_id = staged.system_id
  AND held.line = staged.line
GROUP BY staged.suffix
ORDER BY staged.suffix
