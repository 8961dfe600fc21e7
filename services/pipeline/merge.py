"""The one MERGE of a batch: newest row per business key in, older lines of the same player and system out, equal rows untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from services.gcp.query_catalog import table_id

KEY = ("game_date", "game_id", "player_lookup", "system_id", "current_points_line")
# A re-run makes these anew; alone they do not make a row different.
PROVENANCE = (
    "prediction_id",
    "created_at",
    "updated_at",
    "deployment_revision",
    "build_commit_sha",
    "prediction_run_mode",
)
KEPT_ON_UPDATE = (*KEY, "prediction_id", "created_at")


def merge_sql(columns: Sequence[str], kinds: Mapping[str, str], source: str, target: str, game_date: date) -> str:
    """GoogleSQL with @at (when the merge is made). Columns are named one by one; the date is a literal on both sides so that one
    partition is read; the line is compared as a decimal and NULL meets NULL.
    """
    listed = ", ".join(f"`{c}`" for c in columns)
    values = [c for c in columns if c not in (*KEY, *PROVENANCE)]
    changed = " OR ".join(f"{_plain('T', c, kinds)} IS DISTINCT FROM {_plain('S', c, kinds)}" for c in values)
    assigned = [c for c in columns if c not in KEPT_ON_UPDATE and c != "updated_at"]
    updates = ", ".join(
        [*(f"`{c}` = S.`{c}`" for c in assigned), *(["updated_at = @at"] if "updated_at" in columns else [])]
    )
    retire = _assignments(columns)
    day = f"DATE '{game_date.isoformat()}'"
    return f"""
MERGE {table_id(target)} AS T
USING (
  WITH newest AS (
    SELECT {listed}
    FROM (
      SELECT
        {listed},
        ROW_NUMBER() OVER (
          PARTITION BY game_date, game_id, player_lookup, system_id, CAST(CAST(current_points_line AS NUMERIC) AS STRING)
          ORDER BY created_at DESC, prediction_id DESC
        ) AS age_rank
      FROM {table_id(source)}
      WHERE game_date = {day}
    )
    WHERE age_rank = 1
  ),
  renewed AS (
    SELECT DISTINCT game_id, player_lookup, system_id FROM newest
  ),
  older AS (
    SELECT DISTINCT kept.game_id, kept.player_lookup, kept.system_id, kept.current_points_line
    FROM {table_id(target)} AS kept
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
    WHERE kept.game_date = {day} AND kept.is_active AND newest.player_lookup IS NULL
  )
  SELECT FALSE AS retires, {listed} FROM newest
  UNION ALL
  SELECT TRUE AS retires, {", ".join(_older(c, kinds, day) for c in columns)} FROM older
) AS S
ON T.game_date = {day}
  AND S.game_date = {day}
  AND T.game_id = S.game_id
  AND T.player_lookup = S.player_lookup
  AND T.system_id = S.system_id
  AND (T.current_points_line = S.current_points_line
    OR (T.current_points_line IS NULL AND S.current_points_line IS NULL))
WHEN MATCHED AND S.retires THEN UPDATE SET {retire}
WHEN MATCHED AND NOT S.retires AND ({changed}) THEN UPDATE SET {updates}
WHEN NOT MATCHED AND NOT S.retires THEN INSERT ({listed}) VALUES ({", ".join(f"S.`{c}`" for c in columns)})
""".strip()


def _plain(side: str, column: str, kinds: Mapping[str, str]) -> str:
    """A column in a form that can be compared: JSON only as text."""
    return f"TO_JSON_STRING({side}.`{column}`)" if kinds.get(column) == "JSON" else f"{side}.`{column}`"


def _older(column: str, kinds: Mapping[str, str], day: str) -> str:
    if column == "game_date":
        return f"{day} AS game_date"
    kind = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(kinds[column], kinds[column])
    return f"`{column}`" if column in KEY else f"CAST(NULL AS {kind}) AS `{column}`"


def _assignments(columns: Sequence[str]) -> str:
    """What retiring a line sets, of the columns that the customer's table has."""
    sets = {
        "is_active": "FALSE",
        "superseded": "TRUE",
        "superseded_at": "@at",
        "superseded_reason": "'a newer run has no such line'",
        "updated_at": "@at",
    }
    return ", ".join(f"{column} = {told}" for column, told in sets.items() if column in columns)
