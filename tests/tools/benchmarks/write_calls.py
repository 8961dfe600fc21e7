"""BigQuery calls of a whole run over HTTP, by method, as the sandbox counted them: groups of players beside one player a unit.

python -m tests.tools.benchmarks.write_calls
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from unittest.mock import patch

from services.batches.state import BatchState
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator import batch_runner, dispatcher
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.dispatcher import MAX_UNIT_PLAYERS, WorkerEndpoint
from services.pipeline.coordinator.run_request import plan_run
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.app import Worker, create_app
from services.pipeline.worker.predictor import BaselinePredictor
from services.pipeline.worker.staging_writer import StagingWriter
from services.sandbox.bigquery.job_context import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import start_sandbox
from tests.support.coordinators import serve_app

NIGHT = date(2025, 12, 29)
TIME_SCALE = 0.1
MAX_CALLS = {12: 120, 100: 250}  # of the groups, by requests at once
PLAYER_A_UNIT = 1  # as it was before
EXPECTED_ROWS = 3_950


@dataclass(frozen=True)
class RunCalls:
    """What one run called, how long it took and which rows are active then."""

    unit_players: int
    at_once: int
    calls: Mapping[str, int]
    seconds: float
    active_rows: int

    @property
    def name(self) -> str:
        return f"units of {self.unit_players}, {self.at_once} at once"

    @property
    def total(self) -> int:
        return sum(self.calls.values())


def measure(unit_players: int, at_once: int) -> RunCalls:
    """One run of the night of 68 players, on a sandbox of its own."""
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=TIME_SCALE))
    try:
        clients = connect(Settings.from_env({"SANDBOX_URL": sandbox.url}))
        retry = RetryPolicy(base_backoff_s=5 * TIME_SCALE)
        run = plan_run(clients, NIGHT)
        if run is None:
            raise RuntimeError("Nobody is eligible.")
        worker = Worker(clients, BaselinePredictor(), StagingWriter(BigQueryWarehouse(clients), retry))
        with serve_app(create_app(worker)) as url, _dispatching(unit_players, at_once):
            sandbox.state.cloud_run.backends["prediction-worker"] = url
            runner = BatchRunner(clients, retry)
            sandbox.state.meter.reset()
            started = time.monotonic()
            record = runner.run(runner.record_requested(run))
            seconds, calls = time.monotonic() - started, Counter(sandbox.state.meter.calls)
        if record.state is not BatchState.CONSOLIDATED:
            raise RuntimeError(f"The run ended as {record.state}: {record.reason}")
        by_method = {name.removeprefix("bigquery."): n for name, n in calls.items() if name.startswith("bigquery.")}
        return RunCalls(unit_players, at_once, by_method, seconds, record.active_rows or 0)
    finally:
        sandbox.stop()


@contextmanager
def _dispatching(unit_players: int, at_once: int) -> Iterator[None]:
    """Units of at most so many players, so many requests at once."""

    def endpoint(clients: Clients, configured_limit: int) -> WorkerEndpoint:
        return replace(dispatcher.get_worker_endpoint(clients, configured_limit), max_parallel_requests=at_once)

    with (
        patch.object(dispatcher, "MAX_UNIT_PLAYERS", unit_players),
        patch.object(batch_runner, "get_worker_endpoint", endpoint),
    ):
        yield


def find_failures(runs: Iterable[RunCalls]) -> list[str]:
    """What was promised and is not so: a bound on the calls of groups, and every row active."""
    failures = []
    for run in runs:
        if run.active_rows != EXPECTED_ROWS:
            failures.append(f"{run.name}: {run.active_rows:,} of {EXPECTED_ROWS:,} rows active")
        if run.unit_players > PLAYER_A_UNIT and run.total > MAX_CALLS[run.at_once]:
            failures.append(f"{run.name}: {run.total:,} calls, at most {MAX_CALLS[run.at_once]} promised")
    return failures


def format_table(runs: Sequence[RunCalls]) -> str:
    """A line per run, with its calls by method."""
    methods = sorted({method for run in runs for method in run.calls})
    heads = "".join(f"{method.rpartition('.')[2]:>17}" for method in methods)
    lines = [f"{'':36}{'calls':>7}{'seconds':>9}{'rows':>7}{heads}"]
    for run in runs:
        counts = "".join(f"{run.calls.get(method, 0):17,}" for method in methods)
        lines.append(f"{run.name:36}{run.total:7,}{run.seconds:9.1f}{run.active_rows:7,}{counts}")
    for single, groups in zip(runs[::2], runs[1::2], strict=True):
        calls, seconds = single.total / groups.total, single.seconds / groups.seconds
        lines.append(f"{groups.at_once} at once: {calls:.1f} × fewer calls, {seconds:.1f} × less time")
    return "\n".join(lines)


def main() -> int:
    logging.disable(logging.CRITICAL)
    runs = [measure(players, at_once) for at_once in MAX_CALLS for players in (PLAYER_A_UNIT, MAX_UNIT_PLAYERS)]
    print(f"\nBigQuery calls of a run of 158 players over HTTP, as counted; service times × {TIME_SCALE}\n")
    print(format_table(runs))
    failures = find_failures(runs)
    print("".join(f"NOT as promised: {failure}.\n" for failure in failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
