"""A night at 100 at once, staged and written to the predictions: by direct MERGE, by a union of staging tables, by ours.

On the night of 68 players; and in the customer's own world, whose table is wide and not partitioned, beside the customer's writer. A row
is lost when it was sent and is not active.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from google.api_core.exceptions import GoogleAPICallError

from services.batches import ids
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.gcp.clients import Clients, connect
from services.gcp.retry import RetryPolicy, call_with_retry
from services.pipeline.consolidator import Consolidator
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.predictor import BaselinePredictor, PredictionRequest
from services.pipeline.worker.staging_writer import StagingWriter
from services.policy.eligibility import eligibility_params
from services.sandbox.bigquery.job_latency import JobLatency
from tests.support import customer_pipeline
from tests.support.sandbox import running_scenario
from tests.tools.benchmarks.write_calls import NIGHT, TIME_SCALE
from tests.tools.benchmarks.write_cost import union_merge

T = TypeVar("T")
CONCURRENCY = 100
KEY = customer_pipeline.MergeKey.INTEGER  # that of the customer's statements now
Rows = Mapping[str, list[dict[str, Any]]]  # by unit
BATCH = f"batch_{NIGHT}_1767078000000"


@dataclass(frozen=True)
class WriteTiming:
    """Wall seconds until all that lands has landed; rows sent, of these not active then, and active rows more than before."""

    name: str
    seconds: float
    sent_rows: int
    lost_rows: int
    added_rows: int


def make_predictions(clients: Clients) -> dict[str, list[dict[str, Any]]]:
    """The rows of every eligible player of the night."""
    rows = query_catalog.run_query(clients, "pipeline.eligible_players", game_date=NIGHT, **eligibility_params()).rows
    rows_by_player = {}
    for row in rows:
        request = PredictionRequest(NIGHT, row["player_lookup"], row["game_id"], row)
        rows_by_player[row["player_lookup"]] = list(BaselinePredictor().predict(request, clients.now()))
    return rows_by_player


def group_rows(rows_by_player: Rows, size: int) -> dict[str, list[dict[str, Any]]]:
    """The same rows by units of so many players."""
    names = list(rows_by_player)
    units = [names[i : i + size] for i in range(0, len(names), size)]
    return {ids.work_unit_id(*unit): [row for name in unit for row in rows_by_player[name]] for unit in units}


def stage_rows(clients: Clients, rows_by_unit: Rows) -> list[str]:
    """A table for each unit, as our workers write it; their names."""
    writer = StagingWriter(BigQueryWarehouse(clients), RetryPolicy(base_backoff_s=5 * TIME_SCALE))
    return [result.table for result in _for_each(rows_by_unit, lambda u: writer.write(BATCH, u, rows_by_unit[u]))]


def write_directly(clients: Clients, rows_by_player: Rows) -> None:
    """Each worker loads its rows into a table of its own and MERGEs that by the customer's statement; three retries from 5 s."""
    retry, rows_by_unit = RetryPolicy(retries=3, base_backoff_s=5 * TIME_SCALE), group_rows(rows_by_player, 1)
    writer, columns = StagingWriter(BigQueryWarehouse(clients), retry), BigQueryWarehouse(clients).get_columns()
    names = {column.name for column in columns}

    def write(unit: str) -> None:
        staged = writer.write(BATCH, unit, rows_by_unit[unit])
        sql = customer_pipeline.merge_sql(f"`{staged.table}`", KEY.condition(), names)
        try:
            call_with_retry(retry, lambda: clients.bigquery.query(sql, job_retry=None).result(job_retry=None))
        except GoogleAPICallError:  # as theirs, which reports success
            return

    _for_each(rows_by_unit, write)


def write_by_union(clients: Clients, rows_by_player: Rows, unit_players: int) -> None:
    """Staged by units, and one MERGE over the union of their tables."""
    union_merge(clients, stage_rows(clients, group_rows(rows_by_player, unit_players)), NIGHT)


def write_by_ours(clients: Clients, rows_by_player: Rows, unit_players: int) -> None:
    """Staged by units, compacted, one MERGE, verified, cleaned up."""
    stage_rows(clients, group_rows(rows_by_player, unit_players))
    retry = RetryPolicy(base_backoff_s=5 * TIME_SCALE)
    Consolidator(BigQueryWarehouse(clients), "bench", retry).consolidate(BATCH, NIGHT)


def write_as_the_customer(clients: Clients, rows_by_player: Rows) -> None:
    """Each worker loads a table of its own, and the coordinator merges the union of what the prefix finds."""
    encode = StagingWriter(BigQueryWarehouse(clients)).encode
    messages = {name: encode(rows) for name, rows in rows_by_player.items()}
    worker_of = {name: f"prediction_worker_{number:05}" for number, name in enumerate(messages)}
    _for_each(
        messages,
        lambda name: customer_pipeline.write_to_staging(clients.bigquery, messages[name], BATCH, worker_of[name]),
    )
    customer_pipeline.consolidate(clients.bigquery, BATCH, KEY)


Write = Callable[[Clients, Rows], None]
PATHS: Mapping[str, tuple[str, Write]] = {  # with the scenario that each is measured in
    "direct MERGE, the handoff's 3 retries": ("december", write_directly),
    "union of the tables of 20 players": ("december", partial(write_by_union, unit_players=20)),
    "ours: tables of 20, compact, one MERGE": ("december", partial(write_by_ours, unit_players=20)),
    "their staging writer and union": ("customer", write_as_the_customer),
    "ours on their table": ("customer", partial(write_by_ours, unit_players=20)),
}


def measure_all() -> Iterator[WriteTiming]:
    """What came of every path, each from the same night of 68 players on a sandbox of its own."""
    return (_measure(name, scenario, write) for name, (scenario, write) in PATHS.items())


def _measure(name: str, scenario: str, write: Write) -> WriteTiming:
    with running_scenario(scenario, JobLatency(scale=TIME_SCALE)) as sandbox:
        clients = connect(Settings.from_env({"SANDBOX_URL": sandbox.url}))
        rows_by_player, before = make_predictions(clients), len(_active_ids(clients))
        started = time.monotonic()
        write(clients, rows_by_player)
        seconds, active = time.monotonic() - started, _active_ids(clients)
        sent = {row["prediction_id"] for rows in rows_by_player.values() for row in rows}
        return WriteTiming(f"{scenario}: {name}", seconds, len(sent), len(sent - set(active)), len(active) - before)


def _active_ids(clients: Clients) -> list[str]:
    """The prediction_id of each active row of the night."""
    rows = BigQueryWarehouse(clients).read_rows(PREDICTIONS_TABLE, NIGHT)
    return [row.prediction_id for _, row in rows if row.is_active]


def _for_each(items: Iterable[str], work: Callable[[str], T]) -> list[T]:
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        return list(pool.map(work, items))


def format_timing(timing: WriteTiming) -> str:
    """One line; rows of before do not count as added."""
    return (
        f"  {timing.name:48}{timing.seconds:8.1f} s{timing.lost_rows:8,} of {timing.sent_rows:,} rows lost"
        f"{timing.added_rows:8,} rows added"
    )
