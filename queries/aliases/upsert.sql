-- Write these alias rows as they should be, all or none; nothing happens when somebody has changed one of them since the plan.
-- @param rows ARRAY<STRING>  each wanted row as JSON; `gone` true takes it away
-- @param touched ARRAY<STRING>  every name in the changed aliases, on either side
-- @param expected_rows INT64  how many rows named one of them when it was planned
-- @param expected_active INT64  how many of them were active
-- @param expected_latest TIMESTAMP  when the newest of them was written
MERGE nba_reference.player_aliases AS kept
USING (
  SELECT
    JSON_VALUE(told, '$.alias') AS alias,
    JSON_VALUE(told, '$.canonical') AS canonical,
    JSON_VALUE(told, '$.alias_display') AS alias_display,
    JSON_VALUE(told, '$.canonical_display') AS canonical_display,
    JSON_VALUE(told, '$.kind') AS kind,
    JSON_VALUE(told, '$.source') AS source,
    CAST(JSON_VALUE(told, '$.active') AS BOOL) AS active,
    JSON_VALUE(told, '$.notes') AS notes,
    JSON_VALUE(told, '$.created_by') AS created_by,
    CAST(JSON_VALUE(told, '$.created_at') AS TIMESTAMP) AS created_at,
    CAST(JSON_VALUE(told, '$.processed_at') AS TIMESTAMP) AS processed_at,
    IFNULL(CAST(JSON_VALUE(told, '$.gone') AS BOOL), FALSE) AS gone
  FROM UNNEST(@rows) AS told
  WHERE (
    SELECT
      COUNT(*) = @expected_rows
      AND COUNTIF(is_active) = @expected_active
      AND COALESCE(MAX(processed_at), TIMESTAMP '1970-01-01 00:00:00+00') = @expected_latest
    FROM nba_reference.player_aliases
    WHERE alias_lookup IN UNNEST(@touched) OR nba_canonical_lookup IN UNNEST(@touched)
  )
) AS wanted
ON kept.alias_lookup = wanted.alias AND kept.nba_canonical_lookup = wanted.canonical
WHEN MATCHED AND wanted.gone THEN DELETE
WHEN MATCHED THEN UPDATE SET
  is_active = wanted.active,
  notes = wanted.notes,
  alias_type = wanted.kind,
  alias_source = wanted.source,
  created_by = wanted.created_by,
  created_at = wanted.created_at,
  processed_at = wanted.processed_at
WHEN NOT MATCHED AND NOT wanted.gone THEN INSERT (
  alias_lookup, nba_canonical_lookup, alias_display, nba_canonical_display, alias_type, alias_source,
  is_active, notes, created_by, created_at, processed_at
) VALUES (
  wanted.alias, wanted.canonical, wanted.alias_display, wanted.canonical_display, wanted.kind, wanted.source,
  wanted.active, wanted.notes, wanted.created_by, wanted.created_at, wanted.processed_at
)
