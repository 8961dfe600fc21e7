"""Removes duplicates from a game date: of the active rows of one business key the newest stays, the others are superseded.

One statement under the date's lease, so that no consolidation of the date runs meanwhile. No row is deleted. Exact twins cannot
be distinguished, so all of them are superseded and one copy is inserted.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

from google.api_core.exceptions import Conflict
from google.cloud import bigquery

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import TITLE_SEPARATOR, Change, Guard, Params, Plan
from services.batches.business_key import BUSINESS_KEY_COLUMNS, LINE_COLUMN, BusinessKey, RowVersion
from services.core.commands import bq_query_command
from services.core.errors import InvalidInput, OnCallError
from services.core.process_id import holder_id
from services.core.settings import Settings
from services.core.sources import JOBS, PREDICTIONS
from services.core.tables import PREDICTIONS_TABLE
from services.core.text import pluralize
from services.gcp.clients import BIGQUERY_TIMEOUT_S, Clients
from services.gcp.error_messages import translate_errors
from services.gcp.query_catalog import quote_table_id
from services.gcp.table_listing import fetch_table
from services.pipeline import lease as leases
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.active_rows import ActiveRows, read_active_rows
from services.staging.running_batch import guard_no_batch_runs

MAX_EXAMPLES = 5  # keys that a plan names
_SUPERSEDED_COLUMNS = {"superseded", "superseded_at", "superseded_reason", "updated_at"}


def plan_remove_duplicates(clients: Clients, args: Params) -> Plan:
    """Leave one active row per key of `game_date`; raises InvalidInput for what is not a date."""
    game_date = parse_game_date(args)
    active_rows = read_active_rows(clients, game_date)
    duplicates = active_rows.duplicates
    rows = sum(map(len, duplicates.values()))
    table = _fetch_predictions_table(clients)
    return Plan(
        action_name="predictions.remove_duplicates",
        target=f"{game_date}",
        title=f"Remove {pluralize(rows - len(duplicates), 'duplicate')} of {pluralize(len(duplicates), 'key')}"
        f"{TITLE_SEPARATOR}{game_date}",
        args={"game_date": f"{game_date}"},
        preconditions={"rows before": active_rows.digest, "rows after": active_rows.digest_without_duplicates},
        changes=(
            Change(
                "keys with several active rows",
                f"{len(duplicates):,} of {len(active_rows.versions):,}, with {rows:,} rows",
                f"0; the newest row of each stays active, {rows - len(duplicates):,} superseded",
            ),
            *map(_example, sorted(duplicates.items())[:MAX_EXAMPLES]),
        ),
        guards=(
            Guard(
                "duplicates", bool(duplicates), f"{pluralize(len(duplicates), 'key')} have more than one active row."
            ),
            _table_guard(table),
            guard_no_batch_runs(clients, game_date),
        ),
        planned_at=clients.now(),
        undo="Undo makes them active again, until a newer run changes the active rows of the date.",
        cost=f"1 MERGE over the rows of the date. This plan billed {active_rows.source.bytes_billed / 2**20:,.0f} MiB.",
        commands=(_manual_command(clients.settings, table, game_date, clients.now()),),
        sources=(active_rows.source,),
    )


def parse_game_date(args: Params) -> date:
    """The game date among an action's arguments; raises InvalidInput."""
    try:
        return date.fromisoformat(str(args.get("game_date")))
    except ValueError:
        raise InvalidInput(f"{args.get('game_date')!r} is not a game date.", "Expected YYYY-MM-DD.") from None


def _example(duplicate: tuple[BusinessKey, tuple[RowVersion, ...]]) -> Change:
    key, versions = duplicate
    times = ", ".join(f"{version.created_at:%d %b %H:%M:%S}" for version in versions)
    kept = (
        "one of these twins stays" if versions[0] == versions[1] else f"{versions[0].prediction_id} stays, the newest"
    )
    line = key.current_points_line or "no line"
    what = f"{key.player_lookup}, {key.system_id}, {line}, {key.game_id}"
    return Change(what, f"{len(versions)} active rows, of {times} UTC", kept)


def _fetch_predictions_table(clients: Clients) -> bigquery.Table:
    with translate_errors("BigQuery tables.get"):
        return fetch_table(clients, PREDICTIONS_TABLE)


def _manual_command(settings: Settings, table: bigquery.Table, game_date: date, at: datetime) -> str:
    sql = remove_duplicates_sql([field.name for field in table.schema])
    return bq_command(settings, sql, game_date, at, reason="duplicate")


def bq_command(settings: Settings, sql: str, game_date: date, at: datetime, **texts: str) -> str:
    """The command that runs a statement by hand; `texts` are its further parameters, each a STRING."""
    parameters = {"game_date:DATE": game_date, "at:TIMESTAMP": f"{at:%Y-%m-%d %H:%M:%S}"}
    return bq_query_command(settings, sql, {**parameters, **{f"{name}:STRING": value for name, value in texts.items()}})


def _table_guard(table: bigquery.Table) -> Guard:
    if missing := sorted(_SUPERSEDED_COLUMNS - {field.name for field in table.schema}):
        return Guard("table", False, f"The predictions table has no column {', '.join(missing)}.")
    if table.streaming_buffer is not None:
        return Guard(
            "table",
            False,
            "Rows are still being streamed into the predictions table: BigQuery cannot change those yet.",
        )
    return Guard("table", True, "The predictions table can be updated.")


def removal_reason(action_id: str) -> str:
    """The superseded_reason of the rows that an action superseded, by which they can be restored."""
    return f"duplicate of a newer row, by action {action_id}"


def _remove(context: ActionContext) -> Details:
    clients, game_date = context.clients, parse_game_date(context.plan.args)
    with hold_lease(clients, game_date) as lease:
        require_digest(read_active_rows(clients, game_date), context.plan.preconditions["rows before"])
        columns = [field.name for field in _fetch_predictions_table(clients).schema]
        config = bigquery.QueryJobConfig(
            query_parameters=[
                bigquery.ScalarQueryParameter("game_date", "DATE", game_date),
                bigquery.ScalarQueryParameter("at", "TIMESTAMP", clients.now()),
                bigquery.ScalarQueryParameter("reason", "STRING", removal_reason(context.action_id)),
            ]
        )
        sql = remove_duplicates_sql(columns)
        context.report_progress("Superseding the older rows.", job=lease.merge_job_id)
        with translate_errors("BigQuery (predictions)", sql):
            job = clients.bigquery.query(
                sql, config, job_id=lease.merge_job_id, job_retry=None, timeout=BIGQUERY_TIMEOUT_S
            )
            job.result(timeout=600, job_retry=None)
    return {"job": lease.merge_job_id, "rows changed": job.num_dml_affected_rows}


@contextmanager
def hold_lease(clients: Clients, game_date: date) -> Iterator[leases.Lease]:
    """The lease of a game date; raises LeaseHeld while a consolidation has it. A statement under its merge_job_id runs once."""
    warehouse = BigQueryWarehouse(clients)
    with translate_errors("BigQuery (lease)"):
        lease = leases.acquire(warehouse, game_date, f"{holder_id('desk')}-{secrets.token_hex(4)}")
    try:
        yield lease
    except OnCallError as error:
        if isinstance(
            error.__cause__, Conflict
        ):  # the answer of our own statement was lost: the re-read shows what it did
            warehouse.wait_for_job(lease.merge_job_id)
        raise
    finally:
        with translate_errors("BigQuery (lease)"):
            leases.release(warehouse, lease)


def require_digest(active_rows: ActiveRows, digest: str) -> None:
    """Raises OnCallError when the active rows are not those of the digest any more."""
    if active_rows.digest != digest:
        raise OnCallError(
            f"The active rows of {active_rows.game_date} changed after the plan was built; nothing was changed.",
            "Review the new plan.",
        )


def remove_duplicates_sql(columns: Sequence[str]) -> str:
    """The statement for a predictions table with these columns; its parameters are @game_date, @at and @reason."""
    column_list = ", ".join(f"`{column}`" for column in columns)
    key = ", ".join(f"CAST(CAST({c} AS NUMERIC) AS STRING)" if c == LINE_COLUMN else c for c in BUSINESS_KEY_COLUMNS)
    key_join = " AND ".join(f"T.{c} = S.{c}" for c in BUSINESS_KEY_COLUMNS if c != LINE_COLUMN)
    table = quote_table_id(PREDICTIONS_TABLE)
    return f"""
MERGE {table} AS T
USING (
  SELECT {column_list}, twins, is_copy
  FROM (
    SELECT
      {column_list},
      ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY created_at DESC, prediction_id DESC) AS age_rank,
      COUNT(*) OVER (PARTITION BY {key}, created_at, prediction_id) AS twins
    FROM {table}
    WHERE game_date = @game_date AND is_active
  )
  CROSS JOIN UNNEST([FALSE, TRUE]) AS is_copy
  WHERE age_rank = 1 AND (twins > 1 OR NOT is_copy)
) AS S
ON T.game_date = @game_date AND T.is_active AND NOT S.is_copy
  AND {key_join}
  AND (CAST(T.{LINE_COLUMN} AS NUMERIC) = CAST(S.{LINE_COLUMN} AS NUMERIC)
    OR (T.{LINE_COLUMN} IS NULL AND S.{LINE_COLUMN} IS NULL))
  AND (S.twins > 1 OR T.created_at != S.created_at OR T.prediction_id != S.prediction_id)
WHEN MATCHED THEN UPDATE SET
  is_active = FALSE, superseded = TRUE, superseded_at = @at, superseded_reason = @reason, updated_at = @at
WHEN NOT MATCHED AND S.is_copy THEN INSERT ({column_list}) VALUES ({", ".join(f"S.`{column}`" for column in columns)})
""".strip()


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    """By the active rows: one for each key, and the newest."""
    active_rows = read_active_rows(clients, parse_game_date(plan.args))
    after = {"active rows": sum(map(len, active_rows.versions.values())), "keys": len(active_rows.versions)}
    if duplicates := active_rows.duplicates:
        message = f"{pluralize(len(duplicates), 'key')} still have more than one active row."
        return Verification(ActionState.FAILED, message, after)
    if active_rows.digest != plan.preconditions["rows after"]:
        message = "Each key has one active row, but not those of the plan: the rows have changed since."
        return Verification(ActionState.UNVERIFIED, message, after)
    return Verification(
        ActionState.DONE, f"Each of {len(active_rows.versions):,} keys has one active row, the newest.", after
    )


REMOVE_DUPLICATES = ActionType(
    "predictions.remove_duplicates",
    "Remove duplicates",
    plan_remove_duplicates,
    _remove,
    _verify,
    frozenset((PREDICTIONS, JOBS)),
)
