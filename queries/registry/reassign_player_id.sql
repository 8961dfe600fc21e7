-- Reassign these registry rows to another player id; rows that no longer have the old id stay unchanged.
-- @param rows ARRAY<STRING>  row keys: lookup, team and season, separated by spaces
-- @param from_id STRING  the current universal player id
-- @param to_id STRING  the new universal player id
UPDATE nba_reference.nba_players_registry
SET universal_player_id = @to_id
WHERE universal_player_id = @from_id AND CONCAT(player_lookup, ' ', team_abbr, ' ', season) IN UNNEST(@rows)
