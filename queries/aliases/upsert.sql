-- Upsert these alias rows, all or none; no-op when one of them has changed since the plan.
-- @param rows ARRAY<STRING>  one alias row as JSON per item; `delete_row` true deletes it
-- @param touched_names ARRAY<STRING>  every name in the changed aliases, on either side
-- @param expected_rows INT64  how many rows had one of these names at planning time
-- @param expected_active INT64  how many of them were active
-- @param expected_latest TIMESTAMP  the newest processed_at among them
MERGE nba_reference.player_aliases AS target
USING (
  SELECT
    JSON_VALUE(item, '$.alias') AS alias,
    JSON_VALUE(item, '$.canonical') AS canonical,
    JSON_VALUE(item, '$.alias_display') AS alias_display,
    JSON_VALUE(item, '$.canonical_display') AS canonical_display,
    JSON_VALUE(item, '$.kind') AS kind,
    JSON_VALUE(item, '$.source') AS source,
    CAST(JSON_VALUE(item, '$.active') AS BOOL) AS active,
    JSON_VALUE(item, '$.notes') AS notes,
    JSON_VALUE(item, '$.created_by') AS created_by,
    CAST(JSON_VALUE(item, '$.created_at') AS TIMESTAMP) AS created_at,
    CAST(JSON_VALUE(item, '$.processed_at') AS TIMESTAMP) AS processed_at,
    IFNULL(CAST(JSON_VALUE(item, '$.delete_row') AS BOOL), FALSE) AS delete_row
  FROM UNNEST(@rows) AS item
  WHERE (
    SELECT
      COUNT(*) = @expected_rows
      AND COUNTIF(is_active) = @expected_active
      AND COALESCE(MAX(processed_at), TIMESTAMP '1970-01-01 00:00:00+00') = @expected_latest
    FROM nba_reference.player_aliases
    WHERE alias_lookup IN UNNEST(@touched_names) OR nba_canonical_lookup IN UNNEST(@touched_names)
  )
) AS new_row
ON target.alias_lookup = new_row.alias AND target.nba_canonical_lookup = new_row.canonical
WHEN MATCHED AND new_row.delete_row THEN DELETE
WHEN MATCHED THEN UPDATE SET
  is_active = new_row.active,
  notes = new_row.notes,
  alias_type = new_row.kind,
  alias_source = new_row.source,
  created_by = new_row.created_by,
  created_at = new_row.created_at,
  processed_at = new_row.processed_at
WHEN NOT MATCHED AND NOT new_row.delete_row THEN INSERT (
  alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, alias_type, alias_source,
  is_active, notes, created_by, created_at, processed_at
) VALUES (
  new_row.alias, new_row.canonical, new_row.alias_display, new_row.canonical_display, new_row.kind, new_row.source,
  new_row.active, new_row.notes, new_row.created_by, new_row.created_at, new_row.processed_at
)
