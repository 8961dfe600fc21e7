-- How many rows of each staging table of a date are not in the predictions table, by business key?
-- @table staging  the date's staging tables, as a prefix ending in *
-- @param game_date DATE  the slate, in US Eastern
WITH merged AS (
  SELECT DISTINCT
    game_id,
    player_lookup,
    system_id,
    IFNULL(CAST(CAST(current_points_line AS NUMERIC) AS STRING), 'no line') AS line
  FROM nba_predictions.player_prop_predictions
  WHERE game_date = @game_date
),
staged AS (
  SELECT
    _TABLE_SUFFIX AS suffix,
    game_id,
    player_lookup,
    system_id,
    IFNULL(CAST(CAST(current_points_line AS NUMERIC) AS STRING), 'no line') AS line
  FROM {staging}
  WHERE game_date = @game_date
)
SELECT
  staged.suffix,
  COUNT(*) AS staged_rows,
  COUNTIF(merged.player_lookup IS NULL) AS unmerged_rows
FROM staged
LEFT JOIN merged
  ON merged.game_id = staged.game_id
  AND merged.player_lookup = staged.player_lookup
  AND merged.system_id = staged.system_id
  AND merged.line = staged.line
GROUP BY staged.suffix
ORDER BY staged.suffix
