-- How far did one player come on each date with games? One row per date; the player is in context or not.
-- @param player_lookup STRING  the player's lookup key
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param minutes_needed FLOAT64  average minutes below which a player is not eligible
-- @param ineligible_statuses ARRAY<STRING>  statuses of players who are not expected to play
-- @part is_eligible  the eligibility rule
-- @part predictions  the predictions table
WITH context AS (
  SELECT
    game_date,
    COUNTIF(player_lookup = @player_lookup) AS context_rows,
    COUNTIF(player_lookup = @player_lookup AND ({is_eligible})) AS eligible_rows
  FROM (
    SELECT
      game_date,
      player_lookup,
      avg_minutes_per_game_last_7,
      is_production_ready,
      player_status,
      ROW_NUMBER() OVER (PARTITION BY game_date, player_lookup, game_id, team_abbr ORDER BY created_at DESC) AS recency_rank
    FROM nba_analytics.upcoming_player_game_context
    WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup IS NOT NULL
  )
  WHERE recency_rank = 1
  GROUP BY game_date
),
written AS (
  SELECT game_date, COUNT(*) AS rows_written, COUNTIF(is_active) AS rows_active
  FROM {predictions}
  WHERE game_date BETWEEN @first_date AND @last_date AND player_lookup = @player_lookup
  GROUP BY game_date
)
SELECT
  COALESCE(context.game_date, written.game_date) AS game_date,
  IFNULL(context.context_rows, 0) > 0 AS in_context,
  IFNULL(context.eligible_rows, 0) > 0 AS eligible,
  IFNULL(written.rows_written, 0) AS rows_written,
  IFNULL(written.rows_active, 0) AS rows_active
FROM context
FULL OUTER JOIN written ON written.game_date = context.game_date
ORDER BY game_date
