"""158 players at 100 at once, from the first write to all rows active: direct MERGE with back-off, union of staging tables, ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

from google.api_core.exceptions import GoogleAPICallError

from services.batches import ids as names
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.retry import Policy, retrying
from services.pipeline.consolidator import Consolidator
from services.pipeline.merge import merge_sql
from services.pipeline.warehouse import BigQueryDoor
from services.pipeline.worker.predictor import BaselinePredictor, Request
from services.pipeline.worker.staging_writer import StagingWriter
from tests.benchmarks.cost import _at, _config, union_merge

NIGHT = date(2025, 12, 29)
AT_ONCE = 100


@dataclass(frozen=True)
class Timed:
    """Wall seconds until all that lands has landed, and rows active then."""

    name: str
    seconds: float
    rows: int


def predictions(cloud: Cloud) -> dict[str, list[dict[str, Any]]]:
    rows = catalog.run(cloud, "pipeline.eligible", game_date=NIGHT, minutes_needed=15.0).rows
    made = {}
    for row in rows:
        request = Request(NIGHT, row["player_lookup"], row["game_id"], row)
        made[row["player_lookup"]] = list(BaselinePredictor().predict(request, cloud.now()))
    return made


def stage(cloud: Cloud, batch: str, made: dict[str, list[dict[str, Any]]], retry: Policy) -> None:
    writer = StagingWriter(BigQueryDoor(cloud), retry)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda item: writer.write(batch, names.unit(item[0]), item[1]), made.items()))


def direct(cloud: Cloud, scale: float) -> Timed:
    """Each worker loads its rows into a table of its own and MERGEs that, three retries from 5 s, as the handoff configures."""
    made, batch = predictions(cloud), f"batch_{NIGHT}_111111"
    retry = Policy(retries=3, base_s=5 * scale)
    door = BigQueryDoor(cloud)
    columns = {c.name: c.kind for c in door.columns()}
    stage(cloud, batch, made, retry)

    def merge(player: str) -> None:
        source = names.staging_table(batch, names.unit(player))
        sql = merge_sql(list(columns), columns, source, names.PREDICTIONS, NIGHT)
        try:
            retrying(
                retry, lambda: cloud.bigquery.query(sql, _config([_at(cloud)]), job_retry=None).result(job_retry=None)
            )
        except GoogleAPICallError:
            return

    return _timed("direct MERGE, 3 retries", cloud, lambda: _all(merge, made))


def union(cloud: Cloud, scale: float) -> Timed:
    made, batch = predictions(cloud), f"batch_{NIGHT}_222222"

    def work() -> None:
        stage(cloud, batch, made, Policy(base_s=5 * scale))
        union_merge(cloud, batch, list(made), NIGHT)

    return _timed("union of staging tables", cloud, work)


def ours(cloud: Cloud, scale: float) -> Timed:
    made, batch = predictions(cloud), f"batch_{NIGHT}_333333"

    def work() -> None:
        stage(cloud, batch, made, Policy(base_s=5 * scale))
        Consolidator(BigQueryDoor(cloud), "bench").consolidate(batch, NIGHT)

    return _timed("compact, one MERGE, verified, cleaned", cloud, work)


def _all(work: Callable[[str], None], made: dict[str, list[dict[str, Any]]]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, made))


def _timed(name: str, cloud: Cloud, work: Callable[[], None]) -> Timed:
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    keys = BigQueryDoor(cloud).keys(names.PREDICTIONS, NIGHT)
    return Timed(name, seconds, sum(sum(rows) for rows in keys.values()))
