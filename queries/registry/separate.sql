-- Two identities again: the merged rows get their id back, and the alias is as it was before the merge.
-- @param keep STRING  the id that stayed
-- @param gone STRING  the id that went
-- @param rows ARRAY<STRING>  the rows that had it: lookup, team and season, with spaces between
-- @param alias STRING  the name that went
-- @param canonical STRING  the name that stayed
-- @param alias_was STRING  how the alias stood before: not there, inactive or active
BEGIN TRANSACTION;
UPDATE nba_reference.nba_players_registry
SET universal_player_id = @gone
WHERE universal_player_id = @keep AND CONCAT(player_lookup, ' ', team_abbr, ' ', season) IN UNNEST(@rows);
DELETE FROM nba_reference.player_aliases
WHERE alias_lookup = @alias AND nba_canonical_lookup = @canonical AND @alias_was = 'not there';
UPDATE nba_reference.player_aliases
SET is_active = FALSE
WHERE alias_lookup = @alias AND nba_canonical_lookup = @canonical AND @alias_was = 'inactive';
COMMIT TRANSACTION;
