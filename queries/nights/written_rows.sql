-- Which rows does the predictions table hold for a date?
-- @listable
-- @param game_date DATE  the slate, in US Eastern
-- @part predictions  the predictions table
SELECT player_lookup, system_id, game_id, current_points_line, is_active, superseded, created_at
FROM {predictions}
WHERE game_date = @game_date
