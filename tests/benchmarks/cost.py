"""Bytes billed per batch, ours beside the union of staging tables: measured on the sandbox's meter, computed by its rule beyond."""

from __future__ import annotations

from datetime import date
from math import ceil

from services.batches.ids import PREDICTIONS, staging_table, unit
from services.gcp.clients import Cloud
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import merge_sql
from services.pipeline.warehouse import BigQueryDoor
from services.sandbox.bigquery.billing_meter import MIB, billed
from services.sandbox.server import Sandbox

ROW_BYTES = 3_430  # a row of the customer's live table
ROWS_PER_UNIT = 25


def union_merge(cloud: Cloud, batch: str, players: list[str], game_date: date) -> None:
    """The handoff's consolidation: one MERGE whose source is a UNION ALL of every staging table."""
    columns = {c.name: c.kind for c in BigQueryDoor(cloud).columns()}
    listed = ", ".join(columns)
    union = " UNION ALL ".join(f"SELECT {listed} FROM `{staging_table(batch, unit(p))}`" for p in players)
    sql = merge_sql(list(columns), columns, "nba_predictions.the_union", PREDICTIONS, game_date)
    parameters = [_at(cloud)]
    cloud.bigquery.query(sql.replace("`nba_predictions.the_union`", f"({union})"), _config(parameters)).result()


def _at(cloud: Cloud):  # type: ignore[no-untyped-def]
    from google.cloud import bigquery

    return bigquery.ScalarQueryParameter("at", "TIMESTAMP", cloud.now())


def _config(parameters):  # type: ignore[no-untyped-def]
    from google.cloud import bigquery

    return bigquery.QueryJobConfig(query_parameters=parameters)


def measured(sandbox: Sandbox, cloud: Cloud, batch: str, players: list[str], game_date: date) -> tuple[int, int]:
    """(bytes of the union, bytes of ours) for one staged batch; the union first, for ours cleans up."""
    meter = sandbox.world.meter
    meter.reset()
    union_merge(cloud, batch, players, game_date)
    union = meter.bytes_billed
    meter.reset()
    Consolidator(BigQueryDoor(cloud), "bench").consolidate(batch, game_date)
    return union, meter.bytes_billed


def computed(units: int) -> tuple[int, int]:
    """The same by the meter's rule, at the customer's row size: the union needs a MERGE per 999 tables."""
    per_unit, partition = ROWS_PER_UNIT * ROW_BYTES, units * ROWS_PER_UNIT * ROW_BYTES // 5
    union = billed([per_unit] * units) + ceil(units / 999) * billed([partition])
    return union, billed([units * per_unit, partition])


def table() -> str:
    lines = [f"{'units':>7}{'union of tables':>18}{'one compact table':>20}{'times less':>12}   (by the meter's rule)"]
    for units in (158, 1_000, 10_000):
        union, ours = computed(units)
        lines.append(f"{units:7,}{union / MIB:14,.0f} MiB{ours / MIB:16,.0f} MiB{union / ours:12.0f}")
    return "\n".join(lines)
