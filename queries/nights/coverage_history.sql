-- How many players reached each stage per date, and how many are active per system? One row per date and system.
-- @param first_date DATE  first slate, in US Eastern
-- @param last_date DATE  last slate
-- @param minutes_needed FLOAT64  average minutes below which a player is not eligible
-- @param ineligible_statuses ARRAY<STRING>  statuses of players who are not expected to play
-- @part is_eligible  the eligibility rule
-- @part resolved_odds_names  the method of each name
-- @part predictions  the predictions table
WITH context AS (
  SELECT
    game_date,
    COUNT(DISTINCT game_id) AS games,
    COUNT(*) AS in_context,
    COUNTIF{is_eligible} AS eligible
  FROM (
    SELECT
      game_date,
      game_id,
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
odds AS (
  SELECT
    game_date,
    COUNT(DISTINCT player_lookup) AS with_odds,
    COUNT(DISTINCT game_id) AS games,
    MIN(game_start_time) AS tip_off
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date BETWEEN @first_date AND @last_date
  GROUP BY game_date
),
name_counts AS (
  SELECT
    resolution.game_date,
    COUNTIF(resolution.method = 'exact') AS names_exact,
    COUNTIF(resolution.method = 'through an alias') AS names_by_alias,
    COUNTIF(resolution.method = 'unresolved') AS names_unresolved
  FROM {resolved_odds_names} AS resolution
  GROUP BY resolution.game_date
),
per_player AS (
  SELECT
    game_date,
    IFNULL(system_id, 'no system') AS system_id,
    player_lookup,
    COUNT(*) AS rows_written,
    COUNTIF(is_active) AS rows_active
  FROM {predictions}
  WHERE game_date BETWEEN @first_date AND @last_date
  GROUP BY game_date, system_id, player_lookup
),
written AS (
  SELECT
    game_date,
    SUM(rows_written) AS rows_written,
    SUM(rows_active) AS rows_active,
    COUNT(DISTINCT IF(rows_active > 0, player_lookup, NULL)) AS active
  FROM per_player
  GROUP BY game_date
),
systems AS (
  SELECT game_date, system_id, COUNT(*) AS system_players, SUM(rows_active) AS system_rows
  FROM per_player
  WHERE rows_active > 0
  GROUP BY game_date, system_id
)
SELECT
  COALESCE(context.game_date, odds.game_date, written.game_date) AS game_date,
  GREATEST(IFNULL(context.games, 0), IFNULL(odds.games, 0)) AS games,
  odds.tip_off,
  IFNULL(odds.with_odds, 0) AS with_odds,
  IFNULL(context.in_context, 0) AS in_context,
  IFNULL(context.eligible, 0) AS eligible,
  IFNULL(written.active, 0) AS active,
  IFNULL(written.rows_active, 0) AS rows_active,
  IFNULL(written.rows_written, 0) AS rows_written,
  IFNULL(name_counts.names_exact, 0) AS names_exact,
  IFNULL(name_counts.names_by_alias, 0) AS names_by_alias,
  IFNULL(name_counts.names_unresolved, 0) AS names_unresolved,
  systems.system_id,
  systems.system_players,
  systems.system_rows
FROM context
FULL OUTER JOIN odds ON odds.game_date = context.game_date
FULL OUTER JOIN written ON written.game_date = COALESCE(context.game_date, odds.game_date)
LEFT JOIN name_counts ON name_counts.game_date = COALESCE(context.game_date, odds.game_date)
LEFT JOIN systems ON systems.game_date = written.game_date
ORDER BY game_date, system_id
