"""The one MERGE of a batch and game date, and the count of what it will do: both from one decision over every row concerned.

Rows are compared by version (created_at, then prediction_id) within their business key, whichever batch comes first:

    staged    added: nothing stands for the key · changed, renewed: newer than what stands, with other or the same values ·
              same: is what stands · outdated: something newer stands, or this very row was superseded · superseded: would
              have been retired or moved (below) had it come in time, so it is inserted as inactive · collapsed: not the newest
              of its key in the batch. Rows of runs in @older_runs, which another table of the batch replaces, are left out
    active    replaced: takes the values of the staged row · retired: a newer run of player and system has no such line ·
              moved: the player has newer rows under his game, and no context row under this one · duplicate: a newer row of its
              key is active · twin: what stands has copies, which no statement can tell apart, so all of them are
              superseded and it is inserted anew · kept
    inactive  never touched; a key that has only such rows gets a new row
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date

from google.cloud.bigquery import ArrayQueryParameter, SchemaField

from services.batches.business_key import BUSINESS_KEY_COLUMNS, LINE_COLUMN, PLAYER_SYSTEM_COLUMNS, Run, to_micros
from services.gcp.query_catalog import quote_table_id

CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"
# A re-run makes these anew; alone they do not make a row different.
PROVENANCE_COLUMNS = (
    "prediction_id",
    "created_at",
    "updated_at",
    "deployment_revision",
    "build_commit_sha",
    "prediction_run_mode",
)


@dataclass(frozen=True)
class MergeCounts:
    """How many rows have each outcome (above), and how many rows the MERGE will insert and update."""

    added: int
    changed: int
    renewed: int
    same: int
    outdated: int
    superseded: int
    collapsed: int
    retired: int
    moved: int
    duplicate: int
    twin: int
    inserted_rows: int
    updated_rows: int


OUTCOMES = tuple(field.name for field in fields(MergeCounts) if not field.name.endswith("_rows"))


@dataclass(frozen=True)
class MergeTables:
    """What one MERGE reads and writes: `schema` is that of the target, which the source has too."""

    schema: Sequence[SchemaField]
    source: str
    target: str
    game_date: date

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""
        return [field.name for field in self.schema]


def merge_sql(tables: MergeTables) -> str:
    """The statement, with @at (TIMESTAMP, when the merge is made) and @older_runs (as `run_parameter` has them) as parameters.

    Columns are named one by one. BigQuery reads one partition where the date is a literal in the source and in every WHEN; one in ON
    alone may not be pushed down.
    """
    columns = ", ".join(f"`{c}`" for c in tables.columns)
    date_literal, inserted = _date_literal(tables), ", ".join(_inserted_values(tables.columns))
    updated, retired = (", ".join(assign(tables.columns)) for assign in (_update_assignments, _retire_assignments))
    return f"""
MERGE {quote_table_id(tables.target)} AS T
USING (
  {_decision_ctes(tables)}
  SELECT
    our_operation,
    our_outcome,
    our_reason,
    our_row_key,
    IF(our_operation = 'update', our_standing_made_at, our_made_at) AS our_matched_made_at,
    IF(our_operation = 'update', our_standing_row_id, our_row_id) AS our_matched_row_id,
    {columns}
  FROM decided
  CROSS JOIN UNNEST(our_operations) AS our_operation
  WHERE our_copy_number = 1
) AS S
ON T.game_date = {date_literal}
  AND T.is_active
  AND S.our_operation <> 'insert'
  AND {_row_key("T.")} = S.our_row_key
  AND {_made_at("T.")} = S.our_matched_made_at
  AND {_row_id("T.")} = S.our_matched_row_id
WHEN MATCHED AND T.game_date = {date_literal} AND S.our_operation = 'update' THEN UPDATE SET {updated}
WHEN MATCHED AND T.game_date = {date_literal} THEN UPDATE SET {retired}
WHEN NOT MATCHED AND S.game_date = {date_literal} AND S.our_operation = 'insert' THEN INSERT ({columns}) VALUES ({inserted})
""".strip()


def count_sql(tables: MergeTables) -> str:
    """One row: how many rows have each outcome, and how many the MERGE with the same @older_runs will insert and update."""
    outcomes = ",\n  ".join(f"COUNTIF(our_outcome = '{outcome}') AS {outcome}" for outcome in OUTCOMES)
    return f"""
{_decision_ctes(tables)}
SELECT
  {outcomes},
  COUNTIF(our_copy_number = 1 AND 'insert' IN UNNEST(our_operations)) AS inserted_rows,
  COUNTIF('retire' IN UNNEST(our_operations) OR (our_copy_number = 1 AND 'update' IN UNNEST(our_operations))) AS updated_rows
FROM decided
""".strip()


def _decision_ctes(tables: MergeTables) -> str:
    """The rows of the date on both sides, each with its outcome and the operations that it asks of the MERGE.

    What is computed is named `our_…`: the customer's table may have a column of any other name.
    """
    columns, date_literal = ", ".join(f"`{c}`" for c in tables.columns), _date_literal(tables)
    values = ", ".join(f"{expression} AS `{name}`" for name, expression in _comparable_values(tables.schema))
    of_key, of_run, of_player = (f"OVER (PARTITION BY {c})" for c in ("our_row_key", "our_run_key", "player_lookup"))
    of_version = "PARTITION BY our_place, our_row_key, our_made_at, our_row_id"
    return f"""
WITH games AS (
  SELECT DISTINCT player_lookup AS our_context_player, game_id AS our_context_game
  FROM {quote_table_id(CONTEXT_TABLE)}
  WHERE game_date = {date_literal}
),
both_sides AS (
  SELECT 'staged' AS our_place, {columns}
  FROM {quote_table_id(tables.source)}
  WHERE game_date = {date_literal}
    AND {_text_of(PLAYER_SYSTEM_COLUMNS)} || '\\n' || CAST({_made_at()} AS STRING) NOT IN UNNEST(@older_runs)
  UNION ALL
  SELECT IF(is_active, 'active', 'inactive') AS our_place, {columns}
  FROM {quote_table_id(tables.target)}
  WHERE game_date = {date_literal}
),
candidates AS (
  SELECT
    both_sides.*,
    {_row_key()} AS our_row_key,
    {_text_of(PLAYER_SYSTEM_COLUMNS)} AS our_run_key,
    {_made_at()} AS our_made_at,
    {_row_id()} AS our_row_id,
    TO_JSON_STRING(STRUCT({values})) AS our_row_values,
    our_context_game IS NOT NULL AS our_has_game
  FROM both_sides
  LEFT JOIN games ON our_context_player = player_lookup AND our_context_game = game_id
),
ranked AS (
  SELECT
    *,
    DENSE_RANK() OVER (PARTITION BY our_place, our_row_key ORDER BY our_made_at DESC, our_row_id DESC) AS our_recency,
    COUNT(*) OVER ({of_version}) AS our_copies,
    ROW_NUMBER() OVER ({of_version} ORDER BY our_row_values) AS our_copy_number,
    LOGICAL_OR(our_place = 'inactive') OVER (PARTITION BY our_row_key, our_made_at, our_row_id) AS our_was_superseded,
    LOGICAL_OR(our_place = 'staged') {of_key} AS our_is_key_staged,
    LOGICAL_OR(our_place <> 'staged') {of_key} AS our_is_key_stored,
    LOGICAL_OR(our_place = 'staged') {of_player} AS our_is_player_staged,
    MAX(IF(our_place = 'staged', our_made_at, NULL)) {of_run} AS our_run_staged_at,
    MAX(IF(our_place = 'active', our_made_at, NULL)) {of_run} AS our_run_active_at,
    MAX(IF(our_place <> 'inactive' AND our_has_game, our_made_at, NULL)) {of_player} AS our_player_current_at
  FROM candidates
),
compared AS (
  SELECT
    *,
    NOT our_has_game AND IFNULL(our_made_at < our_player_current_at, FALSE) AS our_is_moved,
    MAX(IF(our_place = 'active' AND our_recency = 1, our_made_at, NULL)) {of_key} AS our_standing_made_at,
    MAX(IF(our_place = 'active' AND our_recency = 1, our_row_id, NULL)) {of_key} AS our_standing_row_id,
    MAX(IF(our_place = 'active' AND our_recency = 1, our_row_values, NULL)) {of_key} AS our_standing_values,
    MAX(IF(our_place = 'active' AND our_recency = 1, our_copies, NULL)) {of_key} AS our_standing_copies
  FROM ranked
),
judged AS (
  SELECT
    *,
    CASE
      WHEN our_place <> 'staged' THEN NULL
      WHEN our_recency > 1 OR our_copy_number > 1 THEN 'collapsed'
      WHEN our_standing_made_at IS NULL AND our_was_superseded THEN IF(is_active, 'outdated', 'same')
      WHEN our_is_moved OR (our_standing_made_at IS NULL AND IFNULL(our_run_active_at > our_run_staged_at, FALSE))
        THEN IF(our_is_key_stored, 'outdated', 'superseded')
      WHEN our_standing_made_at IS NULL THEN 'added'
      WHEN our_made_at < our_standing_made_at OR (our_made_at = our_standing_made_at AND our_row_id < our_standing_row_id)
        THEN 'outdated'
      WHEN our_row_values <> our_standing_values THEN 'changed'
      WHEN our_made_at > our_standing_made_at OR our_row_id > our_standing_row_id THEN 'renewed'
      ELSE 'same'
    END AS our_staged_outcome
  FROM compared
),
matched AS (
  SELECT *, LOGICAL_OR(our_staged_outcome IN ('changed', 'renewed')) {of_key} AS our_is_replaced
  FROM judged
),
outcomes AS (
  SELECT
    *,
    CASE
      WHEN our_place <> 'active' THEN our_staged_outcome
      WHEN our_recency > 1 OR (our_is_replaced AND our_copies > 1) THEN 'duplicate'
      WHEN our_is_replaced THEN 'replaced'
      WHEN our_is_player_staged AND our_is_moved THEN 'moved'
      WHEN NOT our_is_key_staged AND IFNULL(our_made_at < our_run_staged_at, FALSE) THEN 'retired'
      WHEN our_copies > 1 THEN IF(our_copy_number = 1, 'twin', 'duplicate')
      ELSE 'kept'
    END AS our_outcome
  FROM matched
),
decided AS (
  SELECT
    *,
    CASE
      WHEN our_outcome IN ('added', 'superseded') THEN ['insert']
      WHEN our_outcome IN ('changed', 'renewed') AND our_standing_copies > 1 THEN ['insert']
      WHEN our_outcome IN ('changed', 'renewed') THEN ['update']
      WHEN our_outcome = 'twin' THEN ['retire', 'insert']
      WHEN our_outcome IN ('retired', 'moved', 'duplicate') THEN ['retire']
      ELSE []
    END AS our_operations,
    CASE
      WHEN our_is_moved THEN 'the player is in another game'
      WHEN our_outcome IN ('retired', 'superseded') THEN 'a newer run has no such line'
      ELSE 'a newer row has the same key'
    END AS our_reason
  FROM outcomes
)
""".strip()


def _date_literal(tables: MergeTables) -> str:
    return f"DATE '{tables.game_date.isoformat()}'"


def _row_key(side: str = "") -> str:
    """The business key without the date as one text: no line equals no line, and a line is the text of a decimal."""
    return _text_of([c for c in BUSINESS_KEY_COLUMNS if c != "game_date"], side)


def _text_of(columns: Sequence[str], side: str = "") -> str:
    parts = [f"CAST(CAST({side}{c} AS NUMERIC) AS STRING)" if c == LINE_COLUMN else f"{side}{c}" for c in columns]
    return " || '\\n' || ".join(f"IFNULL({part}, '')" for part in parts)


def run_parameter(runs: Iterable[Run]) -> ArrayQueryParameter:
    """@older_runs: what identifies each of the runs, as one text."""
    texts = ("\n".join((*player_system, str(to_micros(at)))) for player_system, at in runs)
    return ArrayQueryParameter("older_runs", "STRING", sorted(texts))


def _made_at(side: str = "") -> str:
    """When a row was made, in microseconds; a row without a time is older than all others."""
    return f"IFNULL(UNIX_MICROS({side}created_at), 0)"


def _row_id(side: str = "") -> str:
    return f"IFNULL({side}prediction_id, '')"


def _comparable_values(schema: Sequence[SchemaField]) -> Iterator[tuple[str, str]]:
    """(name, expression) of each column that makes a row different."""
    for field in schema:
        if field.name not in (*BUSINESS_KEY_COLUMNS, *PROVENANCE_COLUMNS):
            yield field.name, _comparable(f"`{field.name}`", field, field.mode == "REPEATED")


def _comparable(expression: str, field: SchemaField, repeated: bool) -> str:
    """A value as TO_JSON_STRING takes it; a geography, at whatever depth, as its text."""
    if not _holds_geography(field):
        return expression
    if repeated:
        return f"ARRAY(SELECT {_comparable('element', field, repeated=False)} FROM UNNEST({expression}) AS element)"
    if field.field_type == "GEOGRAPHY":
        return f"ST_ASTEXT({expression})"
    parts = (f"{_comparable(f'{expression}.`{f.name}`', f, f.mode == 'REPEATED')} AS `{f.name}`" for f in field.fields)
    return f"STRUCT({', '.join(parts)})"


def _holds_geography(field: SchemaField) -> bool:
    return field.field_type == "GEOGRAPHY" or any(map(_holds_geography, field.fields))


def _update_assignments(columns: Sequence[str]) -> Iterator[str]:
    """A row that stands takes everything of the staged row but its key, which is equal."""
    for column in columns:
        if column not in BUSINESS_KEY_COLUMNS:
            yield f"`{column}` = {'@at' if column == 'updated_at' else f'S.`{column}`'}"


# What superseding a row sets, of the columns that the customer's table has.
_SUPERSEDED = {
    "is_active": "FALSE",
    "superseded": "TRUE",
    "superseded_at": "@at",
    "superseded_reason": "S.our_reason",
    "updated_at": "@at",
}


def _retire_assignments(columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        if column in _SUPERSEDED:
            yield f"`{column}` = {_SUPERSEDED[column]}"


def _inserted_values(columns: Sequence[str]) -> Iterator[str]:
    """The staged row; one that is older than the player's newer run goes in as superseded."""
    for column in columns:
        value = f"S.`{column}`"
        superseded = _SUPERSEDED.get(column)
        yield f"IF(S.our_outcome = 'superseded', {superseded}, {value})" if superseded else value
