"""Bytes billed per batch, ours beside the union of staging tables: measured on the sandbox's meter, computed by its rule beyond."""

from __future__ import annotations

from datetime import date
from math import ceil

from services.batches.ids import staging_table, work_unit_id
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import MergeTables, merge_sql, run_parameter
from services.pipeline.warehouse import BigQueryWarehouse
from services.sandbox.bigquery.billing_meter import MIB, billed_bytes
from services.sandbox.server import Sandbox

ROW_BYTES = 3_430  # a row of the customer's live table
ROWS_PER_UNIT = 25


def union_merge(clients: Clients, batch: str, players: list[str], game_date: date) -> None:
    """The handoff's consolidation: one MERGE whose source is a UNION ALL of every staging table."""
    tables = merge_tables(clients, "nba_predictions.the_union", game_date)
    column_list = ", ".join(tables.columns)
    union = " UNION ALL ".join(f"SELECT {column_list} FROM `{staging_table(batch, work_unit_id(p))}`" for p in players)
    sql = merge_sql(tables)
    parameters = [_timestamp_parameter(clients), run_parameter(())]
    clients.bigquery.query(sql.replace("`nba_predictions.the_union`", f"({union})"), _query_config(parameters)).result()


def merge_tables(clients: Clients, source: str, game_date: date) -> MergeTables:
    """The tables of a MERGE from a source into the predictions."""
    return MergeTables(clients.bigquery.get_table(PREDICTIONS_TABLE).schema, source, PREDICTIONS_TABLE, game_date)


def _timestamp_parameter(clients: Clients):
    from google.cloud import bigquery

    return bigquery.ScalarQueryParameter("at", "TIMESTAMP", clients.now())


def _query_config(parameters):
    from google.cloud import bigquery

    return bigquery.QueryJobConfig(query_parameters=parameters)


def measure_bytes_billed(
    sandbox: Sandbox, clients: Clients, batch: str, players: list[str], game_date: date
) -> tuple[int, int]:
    """(bytes of the union, bytes of ours) for one staged batch; the union first, for ours cleans up."""
    meter = sandbox.state.meter
    meter.reset()
    union_merge(clients, batch, players, game_date)
    union_bytes = meter.bytes_billed
    meter.reset()
    Consolidator(BigQueryWarehouse(clients), "bench").consolidate(batch, game_date)
    return union_bytes, meter.bytes_billed


def compute_bytes_billed(units: int) -> tuple[int, int]:
    """The same by the meter's rule, at the customer's row size: the union needs a MERGE per 999 tables."""
    per_unit, partition_bytes = ROWS_PER_UNIT * ROW_BYTES, units * ROWS_PER_UNIT * ROW_BYTES // 5
    union_bytes = billed_bytes([per_unit] * units) + ceil(units / 999) * billed_bytes([partition_bytes])
    return union_bytes, billed_bytes([units * per_unit, partition_bytes])


def format_table() -> str:
    lines = [f"{'units':>7}{'union of tables':>18}{'one compact table':>20}{'times less':>12}   (by the meter's rule)"]
    for units in (158, 1_000, 10_000):
        union_bytes, staged_bytes = compute_bytes_billed(units)
        lines.append(
            f"{units:7,}{union_bytes / MIB:14,.0f} MiB{staged_bytes / MIB:16,.0f} MiB{union_bytes / staged_bytes:12.0f}"
        )
    return "\n".join(lines)
