-- Which players have a context row on a date? A player may have several; the newest counts.
-- @listable
-- @optional current_points_line  without it a run takes the line of the odds
-- @param game_date DATE  the slate, in US Eastern
SELECT
  player_lookup,
  game_id,
  team_abbr,
  opponent_team_abbr,
  avg_minutes_per_game_last_7,
  player_status,
  is_production_ready,
  current_points_line,
  created_at
FROM nba_analytics.upcoming_player_game_context
WHERE game_date = @game_date
