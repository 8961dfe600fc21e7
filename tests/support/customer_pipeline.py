"""The customer's writer and consolidator, written from their documented behaviour, to run against the sandbox beside ours.

Until 29 December every worker merged its player itself; since then each message is loaded into a staging table of its own, and the
coordinator merges all tables that a batch's prefix finds. Faults of theirs that cost data are kept: they are what is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE

Rows = Sequence[Mapping[str, Any]]
# What a matched row takes from a staged one; theirs lists some forty-five columns, never the key and never created_at.
_UPDATED_COLUMNS = (
    "prediction_id",
    "universal_player_id",
    "prediction_version",
    "predicted_points",
    "confidence_score",
    "recommendation",
    "line_margin",
    "is_active",
    "feature_importance",
    "model_version",
    "completeness_percentage",
    "is_production_ready",
    "data_quality_issues",
    "processing_decision_reason",
    "has_prop_line",
    "line_source",
)


@dataclass(frozen=True)
class WriteResult:
    """One message's write; `error` is the client's text, which their worker logs and swallows."""

    table: str
    rows: int = 0
    error: str = ""


@dataclass(frozen=True)
class ConsolidationResult:
    """One consolidation; with an `error`, no table was dropped."""

    rows_affected: int = 0
    merged_tables: int = 0
    dropped_tables: int = 0
    error: str = ""


class MergeKey(Enum):
    """How a version compares the line: in the window that keeps one row of a key, and between staged and existing rows."""

    TEXT = "player_lookup, game_date, system_id", "CAST({line} AS STRING)", "{line}"  # 30 December, morning
    FLOAT = "game_id, player_lookup, system_id", "COALESCE({line}, -1)", "COALESCE({line}, -1)"  # 30 December, night
    INTEGER = ("game_id, player_lookup, system_id", *["CAST(COALESCE({line}, -1) AS INT64)"] * 2)  # since 31 December

    def window(self) -> str:
        """The columns that a staged row is unique by."""
        return f"{self.value[0]}, {self.value[1].format(line='current_points_line')}"

    def condition(self) -> str:
        """When a staged row is an existing one; in TEXT a NULL line never is."""
        columns = [f"T.{name} = S.{name}" for name in self.value[0].split(", ")]
        sides = (self.value[2].format(line=f"{side}.current_points_line") for side in "TS")
        return " AND ".join([*columns, " = ".join(sides)])


def write_to_staging(client: bigquery.Client, rows: Rows, batch_id: str, worker_id: str) -> WriteResult:
    """Load one message's rows into a table of its own."""
    name = f"_staging_{batch_id}_{worker_id}".replace("-", "_")
    try:
        return _load(client, rows, name, bigquery.WriteDisposition.WRITE_APPEND)
    except GoogleAPICallError as error:
        return WriteResult(name, error=str(error))


def load_for_merge(client: bigquery.Client, rows: Rows, at_ms: int) -> WriteResult:
    """The first half of a direct write: the temporary table, which is named after the millisecond only."""
    return _load(client, rows, f"_staging_predictions_{at_ms}", bigquery.WriteDisposition.WRITE_TRUNCATE)


def merge_directly(client: bigquery.Client, loaded: WriteResult) -> WriteResult:
    """The second half: a MERGE by player and date; the temporary table goes whatever came of it."""
    sql = merge_sql(
        f"`{PREDICTIONS_DATASET}.{loaded.table}`",
        "T.player_lookup = S.player_lookup AND T.game_date = S.game_date",
    )
    try:
        job = client.query(sql)
        job.result()
        return WriteResult(loaded.table, job.num_dml_affected_rows or 0)
    except GoogleAPICallError as error:
        return WriteResult(loaded.table, error=str(error))
    finally:
        client.delete_table(f"{PREDICTIONS_DATASET}.{loaded.table}", not_found_ok=True)


def find_staging_tables(client: bigquery.Client, batch_id: str) -> list[str]:
    """The tables whose names begin as the batch's do; those of a batch whose id begins so, too."""
    prefix = f"_staging_{batch_id.replace('-', '_')}_"
    return [t.table_id for t in client.list_tables(PREDICTIONS_DATASET) if t.table_id.startswith(prefix)]


def consolidate(
    client: bigquery.Client,
    batch_id: str,
    key: MergeKey = MergeKey.TEXT,
    *,
    before_cleanup: Callable[[], object] = lambda: None,
) -> ConsolidationResult:
    """Merge what the prefix finds, then drop what the prefix finds by then, merged or not."""
    tables = find_staging_tables(client, batch_id)
    if not tables:
        return ConsolidationResult()
    union = " UNION ALL ".join(f"SELECT * FROM `{PREDICTIONS_DATASET}.{name}`" for name in tables)
    numbered = (
        f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {key.window()} ORDER BY created_at DESC) AS row_num FROM ({union})"
    )
    source = f"(SELECT * EXCEPT (row_num) FROM ({numbered}) WHERE row_num = 1)"
    try:
        job = client.query(merge_sql(source, key.condition()))
        job.result()
    except GoogleAPICallError as error:
        return ConsolidationResult(merged_tables=len(tables), error=str(error))
    before_cleanup()
    found = find_staging_tables(client, batch_id)
    for name in found:
        client.delete_table(f"{PREDICTIONS_DATASET}.{name}", not_found_ok=True)
    return ConsolidationResult(job.num_dml_affected_rows or 0, len(tables), len(found))


def deactivate_older(client: bigquery.Client, game_date: str) -> int:
    """Leave only the newest row of a game, player and system and its line active; their later versions do so after the MERGE."""
    newest = (
        "SELECT prediction_id, ROW_NUMBER() OVER (PARTITION BY game_id, player_lookup, system_id,"
        " CAST(COALESCE(current_points_line, -1) AS INT64) ORDER BY created_at DESC) AS row_num"
        f" FROM `{PREDICTIONS_TABLE}` WHERE game_date = @game_date AND is_active"
    )
    job = client.query(
        f"UPDATE `{PREDICTIONS_TABLE}` SET is_active = FALSE WHERE game_date = @game_date AND prediction_id IN"
        f" (SELECT prediction_id FROM ({newest}) WHERE row_num > 1)",
        bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("game_date", "DATE", game_date)]),
    )
    job.result()
    return job.num_dml_affected_rows or 0


@lru_cache(maxsize=8)
def _schema(client: bigquery.Client) -> tuple[bigquery.SchemaField, ...]:
    """The columns of the predictions table, read once per process as theirs does."""
    return tuple(client.get_table(PREDICTIONS_TABLE).schema)


def _load(client: bigquery.Client, rows: Rows, name: str, disposition: str) -> WriteResult:
    config = bigquery.LoadJobConfig(
        schema=_schema(client),
        autodetect=False,
        write_disposition=disposition,
        create_disposition=bigquery.CreateDisposition.CREATE_IF_NEEDED,
    )
    job = client.load_table_from_json(map(dict, rows), f"{PREDICTIONS_DATASET}.{name}", job_config=config)
    job.result()
    return WriteResult(name, job.output_rows or 0)


def merge_sql(source: str, condition: str) -> str:
    """Their MERGE of a source, a quoted table or a subquery, into the predictions."""
    assignments = ", ".join([*(f"{name} = S.{name}" for name in _UPDATED_COLUMNS), "updated_at = CURRENT_TIMESTAMP()"])
    return (
        f"MERGE `{PREDICTIONS_TABLE}` T USING {source} S ON {condition}"
        f" WHEN MATCHED THEN UPDATE SET {assignments} WHEN NOT MATCHED THEN INSERT ROW"
    )
