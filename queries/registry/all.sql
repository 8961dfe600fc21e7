-- Which players are registered, with which team and season?
-- @listable
SELECT
  universal_player_id AS player_id,
  player_name AS name,
  player_lookup,
  team_abbr AS team,
  season,
  games_played AS games,
  jersey_number AS jersey,
  position,
  first_game_date AS first_game,
  last_game_date AS last_game
FROM nba_reference.nba_players_registry
