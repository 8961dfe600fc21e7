-- Give these registry rows another identity; rows that no longer have the old one stay as they are.
-- @param rows ARRAY<STRING>  the rows: lookup, team and season, with spaces between
-- @param from_id STRING  the identity they have
-- @param to_id STRING  the identity they get
UPDATE nba_reference.nba_players_registry
SET universal_player_id = @to_id
WHERE universal_player_id = @from_id AND CONCAT(player_lookup, ' ', team_abbr, ' ', season) IN UNNEST(@rows)
