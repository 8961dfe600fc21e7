"""Bytes billed for one batch on the sandbox's meter: the union of staging tables beside the one MERGE over the compact table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from google.cloud import bigquery

from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import MergeTables, merge_sql, run_parameter
from services.pipeline.warehouse import BigQueryWarehouse
from services.sandbox.server import Sandbox


@dataclass(frozen=True)
class BytesBilled:
    """Of the union's MERGE, of our MERGE alone and of the whole consolidation with its counting queries."""

    union_merge: int
    our_merge: int
    our_total: int


def union_merge(clients: Clients, tables: Sequence[str], game_date: date) -> Any:
    """The job of the handoff's consolidation: one MERGE, ours else, whose source is a UNION ALL of every staging table."""
    merge_tables = describe_merge(clients, "nba_predictions.the_union", game_date)
    column_list = ", ".join(merge_tables.columns)
    union = " UNION ALL ".join(f"SELECT {column_list} FROM `{table}`" for table in tables)
    return run_merge(clients, merge_sql(merge_tables).replace("`nba_predictions.the_union`", f"({union})"))


def describe_merge(clients: Clients, source: str, game_date: date) -> MergeTables:
    """The MERGE of a source into the predictions."""
    return MergeTables(clients.bigquery.get_table(PREDICTIONS_TABLE).schema, source, PREDICTIONS_TABLE, game_date)


def run_merge(clients: Clients, sql: str) -> Any:
    """A MERGE's job, when it has ended; not retried by the client."""
    parameters = [bigquery.ScalarQueryParameter("at", "TIMESTAMP", clients.now()), run_parameter(())]
    job = clients.bigquery.query(sql, bigquery.QueryJobConfig(query_parameters=parameters), job_retry=None)
    job.result(job_retry=None)
    return job


def measure_bytes_billed(
    sandbox: Sandbox, clients: Clients, batch: str, tables: Sequence[str], game_date: date
) -> BytesBilled:
    """For one batch that is staged in these tables; the union first, for ours cleans up."""
    meter = sandbox.state.meter
    union = union_merge(clients, tables, game_date)
    meter.reset()
    result = Consolidator(BigQueryWarehouse(clients), "bench").consolidate(batch, game_date)
    ours: Any = clients.bigquery.get_job(result.merge_job_id)
    return BytesBilled(union.total_bytes_billed, ours.total_bytes_billed, meter.bytes_billed)
