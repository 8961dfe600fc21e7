-- Who has odds or a context row on a date, and which alias would lead a name with odds into the context?
-- @param game_date DATE  the slate, in US Eastern
WITH odds AS (
  SELECT
    player_lookup,
    ANY_VALUE(player_name) AS player_name,
    ANY_VALUE(game_id) AS game_id,
    ANY_VALUE(away_team_abbr) AS away_team,
    ANY_VALUE(home_team_abbr) AS home_team
  FROM nba_raw.odds_api_player_points_props
  WHERE game_date = @game_date AND player_lookup IS NOT NULL
  GROUP BY player_lookup
),
context AS (
  SELECT *
  FROM (
    SELECT
      player_lookup,
      player_name,
      game_id,
      team_abbr,
      opponent_team_abbr,
      avg_minutes_per_game_last_7,
      player_status,
      is_production_ready,
      ROW_NUMBER() OVER (PARTITION BY player_lookup ORDER BY created_at DESC, game_id) AS age_rank
    FROM nba_analytics.upcoming_player_game_context
    WHERE game_date = @game_date AND player_lookup IS NOT NULL
  )
  WHERE age_rank = 1
),
aliases AS (
  SELECT alias_lookup, MIN(nba_canonical_lookup) AS canonical
  FROM nba_reference.player_aliases
  WHERE is_active AND alias_lookup != nba_canonical_lookup
  GROUP BY alias_lookup
  HAVING COUNT(DISTINCT nba_canonical_lookup) = 1
)
SELECT
  COALESCE(context.player_lookup, odds.player_lookup) AS player_lookup,
  COALESCE(context.player_name, odds.player_name, context.player_lookup) AS player_name,
  COALESCE(context.game_id, odds.game_id) AS game_id,
  context.team_abbr AS team,
  context.opponent_team_abbr AS opponent,
  odds.away_team,
  odds.home_team,
  odds.player_lookup IS NOT NULL AS lined,
  context.player_lookup IS NOT NULL AS in_context,
  CAST(context.avg_minutes_per_game_last_7 AS FLOAT64) AS minutes,
  context.player_status AS status,
  context.is_production_ready AS ready,
  resolved.player_lookup AS alias_canonical
FROM odds
FULL OUTER JOIN context ON context.player_lookup = odds.player_lookup
LEFT JOIN aliases ON aliases.alias_lookup = odds.player_lookup AND context.player_lookup IS NULL
LEFT JOIN context AS resolved ON resolved.player_lookup = aliases.canonical
ORDER BY player_lookup
