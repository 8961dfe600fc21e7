-- Which games does a date have, according to its context?
-- @param game_date DATE  the slate, in US Eastern
SELECT game_id, COUNT(DISTINCT player_lookup) AS players
FROM nba_analytics.upcoming_player_game_context
WHERE game_date = @game_date AND game_id IS NOT NULL
GROUP BY game_id
ORDER BY game_id
