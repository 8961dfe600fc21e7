-- How many rows in other tables reference these player ids?
-- @param player_ids ARRAY<STRING>  universal player ids
-- @part predictions  the predictions table
SELECT 'upcoming_player_game_context' AS table_name, COUNT(*) AS row_count
FROM nba_analytics.upcoming_player_game_context
WHERE game_date >= DATE '2000-01-01' AND universal_player_id IN UNNEST(@player_ids)
UNION ALL
SELECT SPLIT('{predictions}', '.')[OFFSET(1)] AS table_name, COUNT(*) AS row_count
FROM {predictions}
WHERE game_date >= DATE '2000-01-01' AND universal_player_id IN UNNEST(@player_ids)
ORDER BY table_name
