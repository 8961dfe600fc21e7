-- Which is the first game date with players in context?
SELECT MIN(game_date) AS first_night
FROM nba_analytics.upcoming_player_game_context
