"""158 players at 100 at once, from the first write to all rows active: direct MERGE with back-off, union of staging tables, ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from google.api_core.exceptions import GoogleAPICallError

from services.batches import ids
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import merge_sql, run_parameter
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.predictor import BaselinePredictor, PredictionRequest
from services.pipeline.worker.staging_writer import StagingWriter
from services.policy.eligibility import eligibility_params
from tests.tools.benchmarks.write_cost import _query_config, _timestamp_parameter, merge_tables, union_merge

NIGHT = date(2025, 12, 29)
CONCURRENCY = 100


@dataclass(frozen=True)
class WriteTiming:
    """Wall seconds until all that lands has landed, and rows active then."""

    name: str
    seconds: float
    rows: int


def make_predictions(clients: Clients) -> dict[str, list[dict[str, Any]]]:
    rows = query_catalog.run_query(clients, "pipeline.eligible_players", game_date=NIGHT, **eligibility_params()).rows
    rows_by_player = {}
    for row in rows:
        request = PredictionRequest(NIGHT, row["player_lookup"], row["game_id"], row)
        rows_by_player[row["player_lookup"]] = list(BaselinePredictor().predict(request, clients.now()))
    return rows_by_player


def stage_rows(
    clients: Clients, batch: str, rows_by_player: dict[str, list[dict[str, Any]]], retry: RetryPolicy
) -> None:
    writer = StagingWriter(BigQueryWarehouse(clients), retry)
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(lambda item: writer.write(batch, ids.work_unit_id(item[0]), item[1]), rows_by_player.items()))


def time_direct_merge(clients: Clients, scale: float) -> WriteTiming:
    """Each worker loads its rows into a table of its own and MERGEs that, three retries from 5 s, as the handoff configures."""
    rows_by_player, batch = make_predictions(clients), f"batch_{NIGHT}_111111"
    retry = RetryPolicy(retries=3, base_backoff_s=5 * scale)
    stage_rows(clients, batch, rows_by_player, retry)

    def merge(player: str) -> None:
        source = ids.staging_table(batch, ids.work_unit_id(player))
        sql = merge_sql(merge_tables(clients, source, NIGHT))
        try:
            call_with_retry(
                retry,
                lambda: clients.bigquery.query(
                    sql, _query_config([_timestamp_parameter(clients), run_parameter(())]), job_retry=None
                ).result(job_retry=None),
            )
        except GoogleAPICallError:
            return

    return _time_write("direct MERGE, 3 retries", clients, lambda: _for_each_player(merge, rows_by_player))


def time_union_merge(clients: Clients, scale: float) -> WriteTiming:
    rows_by_player, batch = make_predictions(clients), f"batch_{NIGHT}_222222"

    def work() -> None:
        stage_rows(clients, batch, rows_by_player, RetryPolicy(base_backoff_s=5 * scale))
        union_merge(clients, batch, list(rows_by_player), NIGHT)

    return _time_write("union of staging tables", clients, work)


def time_compact_merge(clients: Clients, scale: float) -> WriteTiming:
    rows_by_player, batch = make_predictions(clients), f"batch_{NIGHT}_333333"

    def work() -> None:
        stage_rows(clients, batch, rows_by_player, RetryPolicy(base_backoff_s=5 * scale))
        Consolidator(BigQueryWarehouse(clients), "bench").consolidate(batch, NIGHT)

    return _time_write("compact, one MERGE, verified, cleaned", clients, work)


def _for_each_player(work: Callable[[str], None], rows_by_player: dict[str, list[dict[str, Any]]]) -> None:
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(work, rows_by_player))


def _time_write(name: str, clients: Clients, work: Callable[[], None]) -> WriteTiming:
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    keys = BigQueryWarehouse(clients).read_keys(PREDICTIONS_TABLE, NIGHT)
    return WriteTiming(name, seconds, sum(sum(rows) for rows in keys.values()))
