-- Which players of a date does the coordinator request, with their context?
-- A line missing from the context is taken from the odds, through an alias where the spellings differ.
-- @param game_date DATE  the slate, in US Eastern
-- @param minutes_needed FLOAT64  average minutes below which a player is not requested
-- @param ineligible_statuses ARRAY<STRING>  statuses of players who are not expected to play
-- @part is_eligible  the eligibility rule
-- @part name_resolution  the player of each odds-feed name
WITH context AS (
  SELECT *
  FROM (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY created_at DESC, game_id) AS recency_rank
    FROM nba_analytics.upcoming_player_game_context
    WHERE game_date = @game_date AND player_lookup IS NOT NULL
  )
  WHERE recency_rank = 1
),
tip_offs AS (
  SELECT
    team,
    game_start_time,
    ROW_NUMBER() OVER (PARTITION BY team ORDER BY snapshot_timestamp DESC, game_start_time) AS recency_rank
  FROM nba_raw.odds_api_player_points_props
  CROSS JOIN UNNEST([home_team_abbr, away_team_abbr]) AS team
  WHERE game_date = @game_date AND game_start_time IS NOT NULL
),
odds AS (
  SELECT
    player_lookup AS name,
    CAST(points_line AS NUMERIC) AS points_line,
    ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY snapshot_timestamp DESC, bookmaker) AS recency_rank
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date = @game_date AND player_lookup IS NOT NULL
),
names AS (
  SELECT @game_date AS scope, name FROM odds WHERE recency_rank = 1
),
candidates AS (
  SELECT @game_date AS scope, player_lookup AS `lookup` FROM context
),
resolved_lines AS (
  SELECT
    resolution.lookup,
    odds.points_line,
    resolution.method,
    ROW_NUMBER() OVER (PARTITION BY resolution.lookup ORDER BY resolution.method, resolution.name) AS preference_rank
  FROM odds
  JOIN {name_resolution} AS resolution ON resolution.name = odds.name
  WHERE odds.recency_rank = 1 AND resolution.lookup IS NOT NULL
)
SELECT
  context.player_lookup,
  context.universal_player_id,
  context.game_id,
  context.team_abbr,
  CAST(context.avg_minutes_per_game_last_7 AS FLOAT64) AS minutes,
  context.points_avg_last_5,
  context.points_avg_last_10,
  COALESCE(context.current_points_line, resolved_lines.points_line) AS current_points_line,
  IFNULL(context.has_prop_line, FALSE) OR resolved_lines.points_line IS NOT NULL AS has_prop_line,
  IF(context.current_points_line IS NULL, resolved_lines.method, NULL) AS line_method,
  IFNULL(context.home_game, FALSE) AS home_game,
  IFNULL(context.days_rest, 1) AS days_rest,
  tip_offs.game_start_time AS tip_off
FROM context
LEFT JOIN tip_offs ON tip_offs.team = context.team_abbr AND tip_offs.recency_rank = 1
LEFT JOIN resolved_lines ON resolved_lines.lookup = context.player_lookup AND resolved_lines.preference_rank = 1
WHERE {is_eligible}
ORDER BY context.player_lookup
