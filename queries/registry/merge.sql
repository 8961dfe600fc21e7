-- Make two identities one, with the alias between their names: both or neither; nothing when the rows are not as planned.
-- @param keep STRING  the id that stays
-- @param gone STRING  the id that goes
-- @param expected INT64  rows that had the id that goes when it was planned
-- @param alias STRING  the name that goes
-- @param canonical STRING  the name that stays
-- @param alias_display STRING  as people write it
-- @param canonical_display STRING  as people write it
-- @param by STRING  who does it
-- @param written_at TIMESTAMP  when
BEGIN TRANSACTION;
MERGE nba_reference.player_aliases AS kept
USING (
  SELECT @alias AS alias, @canonical AS canonical
  FROM (SELECT COUNT(*) AS found FROM nba_reference.nba_players_registry WHERE universal_player_id = @gone)
  WHERE found = @expected AND @alias != @canonical
) AS wanted
ON kept.alias_lookup = wanted.alias AND kept.nba_canonical_lookup = wanted.canonical
WHEN MATCHED THEN UPDATE SET is_active = TRUE
WHEN NOT MATCHED THEN INSERT (
  alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, alias_type, alias_source,
  is_active, notes, created_by, created_at, processed_at
) VALUES (
  wanted.alias, wanted.canonical, @alias_display, @canonical_display, 'suffix_variation', 'on_call',
  TRUE, 'Two identities made one', @by, @written_at, @written_at
);
UPDATE nba_reference.nba_players_registry
SET universal_player_id = @keep
WHERE universal_player_id = @gone
  AND (SELECT COUNT(*) FROM nba_reference.nba_players_registry WHERE universal_player_id = @gone) = @expected;
COMMIT TRANSACTION;
