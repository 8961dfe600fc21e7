-- How many players has each system active on each date, between two dates?
-- @param first_date DATE  the first slate
-- @param last_date DATE  the last slate
SELECT game_date, IFNULL(system_id, 'no system') AS system_id, COUNT(DISTINCT player_lookup) AS players
FROM nba_predictions.player_prop_predictions
WHERE game_date BETWEEN @first_date AND @last_date AND is_active
GROUP BY game_date, system_id
ORDER BY game_date, system_id
