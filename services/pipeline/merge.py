"""The one MERGE of a batch: newest row per business key in, older lines of the same player and system out, equal rows untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from services.gcp.query_catalog import quote_table_id

KEY = ("game_date", "game_id", "player_lookup", "system_id", "current_points_line")
# A re-run makes these anew; alone they do not make a row different.
PROVENANCE_COLUMNS = (
    "prediction_id",
    "created_at",
    "updated_at",
    "deployment_revision",
    "build_commit_sha",
    "prediction_run_mode",
)
IMMUTABLE_COLUMNS = (*KEY, "prediction_id", "created_at")


def merge_sql(
    columns: Sequence[str], column_types: Mapping[str, str], source: str, target: str, game_date: date
) -> str:
    """GoogleSQL with @at (when the merge is made). Columns are named one by one; the date is a literal on both sides so that one
    partition is read; the line is compared as a decimal and NULL meets NULL.
    """
    column_list = ", ".join(f"`{c}`" for c in columns)
    value_columns = [c for c in columns if c not in (*KEY, *PROVENANCE_COLUMNS)]
    change_condition = " OR ".join(
        f"{_comparable('T', c, column_types)} IS DISTINCT FROM {_comparable('S', c, column_types)}"
        for c in value_columns
    )
    updated_columns = [c for c in columns if c not in IMMUTABLE_COLUMNS and c != "updated_at"]
    update_assignments = ", ".join(
        [*(f"`{c}` = S.`{c}`" for c in updated_columns), *(["updated_at = @at"] if "updated_at" in columns else [])]
    )
    retire_assignments = _retire_assignments(columns)
    date_literal = f"DATE '{game_date.isoformat()}'"
    return f"""
MERGE {quote_table_id(target)} AS T
USING (
  WITH newest AS (
    SELECT {column_list}
    FROM (
      SELECT
        {column_list},
        ROW_NUMBER() OVER (
          PARTITION BY game_date, game_id, player_lookup, system_id, CAST(CAST(current_points_line AS NUMERIC) AS STRING)
          ORDER BY created_at DESC, prediction_id DESC
        ) AS age_rank
      FROM {quote_table_id(source)}
      WHERE game_date = {date_literal}
    )
    WHERE age_rank = 1
  ),
  renewed AS (
    SELECT DISTINCT game_id, player_lookup, system_id FROM newest
  ),
  older AS (
    SELECT DISTINCT kept.game_id, kept.player_lookup, kept.system_id, kept.current_points_line
    FROM {quote_table_id(target)} AS kept
    INNER JOIN renewed
      ON renewed.game_id = kept.game_id
      AND renewed.player_lookup = kept.player_lookup
      AND renewed.system_id = kept.system_id
    LEFT JOIN newest
      ON newest.game_id = kept.game_id
      AND newest.player_lookup = kept.player_lookup
      AND newest.system_id = kept.system_id
      AND (newest.current_points_line = kept.current_points_line
        OR (newest.current_points_line IS NULL AND kept.current_points_line IS NULL))
    WHERE kept.game_date = {date_literal} AND kept.is_active AND newest.player_lookup IS NULL
  )
  SELECT FALSE AS retires, {column_list} FROM newest
  UNION ALL
  SELECT TRUE AS retires, {", ".join(_null_typed_column(c, column_types, date_literal) for c in columns)} FROM older
) AS S
ON T.game_date = {date_literal}
  AND S.game_date = {date_literal}
  AND T.game_id = S.game_id
  AND T.player_lookup = S.player_lookup
  AND T.system_id = S.system_id
  AND (T.current_points_line = S.current_points_line
    OR (T.current_points_line IS NULL AND S.current_points_line IS NULL))
WHEN MATCHED AND S.retires THEN UPDATE SET {retire_assignments}
WHEN MATCHED AND NOT S.retires AND ({change_condition}) THEN UPDATE SET {update_assignments}
WHEN NOT MATCHED AND NOT S.retires THEN INSERT ({column_list}) VALUES ({", ".join(f"S.`{c}`" for c in columns)})
""".strip()


def _comparable(side: str, column: str, column_types: Mapping[str, str]) -> str:
    """A column in a form that can be compared: JSON only as text."""
    return f"TO_JSON_STRING({side}.`{column}`)" if column_types.get(column) == "JSON" else f"{side}.`{column}`"


def _null_typed_column(column: str, column_types: Mapping[str, str], date_literal: str) -> str:
    if column == "game_date":
        return f"{date_literal} AS game_date"
    sql_type = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(
        column_types[column], column_types[column]
    )
    return f"`{column}`" if column in KEY else f"CAST(NULL AS {sql_type}) AS `{column}`"


def _retire_assignments(columns: Sequence[str]) -> str:
    """What retiring a line sets, of the columns that the customer's table has."""
    assignments = {
        "is_active": "FALSE",
        "superseded": "TRUE",
        "superseded_at": "@at",
        "superseded_reason": "'a newer run has no such line'",
        "updated_at": "@at",
    }
    return ", ".join(f"{column} = {expression}" for column, expression in assignments.items() if column in columns)
