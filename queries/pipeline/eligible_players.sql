-- Which players of a date does the coordinator ask for, and what does the context say of each? A line that the context lacks is
-- taken from the odds, through an alias where they spell the player another way.
-- @param game_date DATE  the slate, in US Eastern
-- @param minutes_needed FLOAT64  average minutes below which a player is not asked for
-- @param ineligible_statuses ARRAY<STRING>  statuses of players who are not expected to play
-- @part is_eligible  by which rule
-- @part name_resolution  where each name of the odds leads
WITH context AS (
  SELECT *
  FROM (
    SELECT
      *,
      ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY created_at DESC, game_id) AS age_rank
    FROM nba_analytics.upcoming_player_game_context
    WHERE game_date = @game_date AND player_lookup IS NOT NULL
  )
  WHERE age_rank = 1
),
odds AS (
  SELECT
    player_lookup AS name,
    CAST(points_line AS NUMERIC) AS points_line,
    ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY snapshot_timestamp DESC, bookmaker) AS age_rank
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date = @game_date AND player_lookup IS NOT NULL
),
asked AS (
  SELECT @game_date AS scope, name FROM odds WHERE age_rank = 1
),
known AS (
  SELECT @game_date AS scope, player_lookup AS lookup FROM context
),
lines AS (
  SELECT
    led.lookup,
    odds.points_line,
    led.how,
    ROW_NUMBER() OVER (PARTITION BY led.lookup ORDER BY led.how, led.name) AS choice
  FROM odds
  JOIN {name_resolution} AS led ON led.name = odds.name
  WHERE odds.age_rank = 1 AND led.lookup IS NOT NULL
)
SELECT
  context.player_lookup,
  context.universal_player_id,
  context.game_id,
  context.team_abbr,
  CAST(context.avg_minutes_per_game_last_7 AS FLOAT64) AS minutes,
  context.points_avg_last_5,
  context.points_avg_last_10,
  COALESCE(context.current_points_line, lines.points_line) AS current_points_line,
  IFNULL(context.has_prop_line, FALSE) OR lines.points_line IS NOT NULL AS has_prop_line,
  IF(context.current_points_line IS NULL, lines.how, NULL) AS line_led,
  IFNULL(context.home_game, FALSE) AS home_game,
  IFNULL(context.days_rest, 1) AS days_rest
FROM context
LEFT JOIN lines ON lines.lookup = context.player_lookup AND lines.choice = 1
WHERE {is_eligible}
ORDER BY context.player_lookup
