-- Which players are registered, on which team in which season?
SELECT
  universal_player_id AS player_id,
  IFNULL(player_name, player_lookup) AS name,
  player_lookup AS lookup,
  IFNULL(team_abbr, '') AS team,
  IFNULL(season, '') AS season,
  games_played AS games,
  jersey_number AS jersey,
  position,
  first_game_date AS first_game,
  last_game_date AS last_game
FROM nba_reference.nba_players_registry
WHERE player_lookup IS NOT NULL
ORDER BY lookup, season, team
