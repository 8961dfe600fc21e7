-- Which rows does the predictions table hold for a date?
-- @listable
-- @optional current_points_line  without it the rows of one system and player cannot be distinguished
-- @optional created_at  without it rows made after tip-off are not known
-- @optional updated_at  without it rows that a MERGE changed after tip-off are not known
-- @param game_date DATE  the slate, in US Eastern
-- @part predictions  the predictions table
SELECT player_lookup, system_id, game_id, current_points_line, is_active, superseded, created_at, updated_at
FROM {predictions}
WHERE game_date = @game_date
