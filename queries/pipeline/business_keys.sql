-- Which rows does a table hold for a date, by business key and version? For tables that a listing does not give whole, or that are too long to list.
-- @table rows  the table to read
-- @param game_date DATE  the slate, in US Eastern
SELECT game_date, game_id, player_lookup, system_id, current_points_line, created_at, prediction_id, is_active
FROM {rows}
WHERE game_date = @game_date
