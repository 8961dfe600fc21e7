"""The one MERGE of a batch: the newest row per business key goes in, and rows that already are as staged stay untouched.

Active lines of a player and system that the batch renews, and that the batch no longer has, are retired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from services.batches.business_key import BUSINESS_KEY_COLUMNS, LINE_COLUMN, PLAYER_SYSTEM_COLUMNS
from services.gcp.query_catalog import quote_table_id

# A re-run makes these anew; alone they do not make a row different.
PROVENANCE_COLUMNS = (
    "prediction_id",
    "created_at",
    "updated_at",
    "deployment_revision",
    "build_commit_sha",
    "prediction_run_mode",
)
KEY_COLUMNS_WITHOUT_DATE = tuple(c for c in BUSINESS_KEY_COLUMNS if c != "game_date")  # a MERGE is of one game date
IMMUTABLE_COLUMNS = (*BUSINESS_KEY_COLUMNS, "prediction_id", "created_at")


def merge_sql(
    columns: Sequence[str], column_types: Mapping[str, str], source: str, target: str, game_date: date
) -> str:
    """The statement, with @at (TIMESTAMP, when the merge is made) as its parameter.

    Columns are named one by one; the date is a literal on both sides so that one partition is read; the line is compared as a
    decimal and NULL equals NULL. `column_types` maps each column to its type, as GoogleSQL names it.
    """
    column_list = ", ".join(f"`{c}`" for c in columns)
    value_columns = [c for c in columns if c not in (*BUSINESS_KEY_COLUMNS, *PROVENANCE_COLUMNS)]
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
    retiring_columns = ", ".join(_null_typed_column(c, column_types, date_literal) for c in columns)
    inserted_values = ", ".join(f"S.`{c}`" for c in columns)
    return f"""
MERGE {quote_table_id(target)} AS T
USING (
  WITH newest AS (
    SELECT {column_list}
    FROM (
      SELECT
        {column_list},
        ROW_NUMBER() OVER (
          PARTITION BY {", ".join(map(_partition_expression, BUSINESS_KEY_COLUMNS))}
          ORDER BY created_at DESC, prediction_id DESC
        ) AS age_rank
      FROM {quote_table_id(source)}
      WHERE game_date = {date_literal}
    )
    WHERE age_rank = 1
  ),
  touched_players AS (
    SELECT DISTINCT {", ".join(PLAYER_SYSTEM_COLUMNS)} FROM newest
  ),
  superseded_keys AS (
    SELECT DISTINCT {", ".join(f"target_rows.{c}" for c in KEY_COLUMNS_WITHOUT_DATE)}
    FROM {quote_table_id(target)} AS target_rows
    INNER JOIN touched_players
      ON {_equal_columns("touched_players", "target_rows", PLAYER_SYSTEM_COLUMNS)}
    LEFT JOIN newest
      ON {_equal_columns("newest", "target_rows", KEY_COLUMNS_WITHOUT_DATE)}
    WHERE target_rows.game_date = {date_literal} AND target_rows.is_active AND newest.player_lookup IS NULL
  )
  SELECT FALSE AS is_superseding, {column_list} FROM newest
  UNION ALL
  SELECT TRUE AS is_superseding, {retiring_columns} FROM superseded_keys
) AS S
ON T.game_date = {date_literal}
  AND S.game_date = {date_literal}
  AND {_equal_columns("T", "S", KEY_COLUMNS_WITHOUT_DATE)}
WHEN MATCHED AND S.is_superseding THEN UPDATE SET {retire_assignments}
WHEN MATCHED AND NOT S.is_superseding AND ({change_condition}) THEN UPDATE SET {update_assignments}
WHEN NOT MATCHED AND NOT S.is_superseding THEN INSERT ({column_list}) VALUES ({inserted_values})
""".strip()


def _partition_expression(column: str) -> str:
    """A key column as a window may partition by it: BigQuery refuses FLOAT64, so the line is the text of a decimal."""
    return f"CAST(CAST({column} AS NUMERIC) AS STRING)" if column == LINE_COLUMN else column


def _equal_columns(left: str, right: str, columns: Sequence[str]) -> str:
    """The join condition of two tables on key columns: no line equals no line."""
    return " AND ".join(
        f"({left}.{c} = {right}.{c} OR ({left}.{c} IS NULL AND {right}.{c} IS NULL))"
        if c == LINE_COLUMN
        else f"{left}.{c} = {right}.{c}"
        for c in columns
    )


def _comparable(side: str, column: str, column_types: Mapping[str, str]) -> str:
    """A column in a form that can be compared: JSON and arrays only as text."""
    as_text = column_types[column].startswith(("JSON", "ARRAY"))
    return f"TO_JSON_STRING({side}.`{column}`)" if as_text else f"{side}.`{column}`"


def _null_typed_column(column: str, column_types: Mapping[str, str], date_literal: str) -> str:
    """A column of a row that only retires: its key, and NULL of the column's type for everything else."""
    if column == "game_date":
        return f"{date_literal} AS game_date"
    return f"`{column}`" if column in BUSINESS_KEY_COLUMNS else f"CAST(NULL AS {column_types[column]}) AS `{column}`"


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
