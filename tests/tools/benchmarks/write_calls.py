"""A whole run over HTTP on a sandbox of its own, as the sandbox counted it: calls, quotas, DML statements, seconds, active rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from services.batches.state import BatchState
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import connect
from services.gcp.retry import RetryPolicy
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.run_request import plan_run
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.app import create_app
from services.pipeline.worker.predictor import BaselinePredictor
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.bigquery.sql_inspection import MUTATING_KINDS
from services.sandbox.scenarios.december import build_seed
from services.sandbox.seed import Seed
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.coordinators import serve_app
from tests.tools.benchmarks.worker_pool import WorkerPool, bigquery_calls, dispatching
from tests.tools.benchmarks.write_run import WriteRun, quota_peaks

NIGHT = date(2025, 12, 29)
TIME_SCALE = 0.1
PLAYERS, ROWS_A_PLAYER = 158, 25
PLAYER_A_UNIT = 1  # as it was before
CONTEXT_TABLE = "nba_analytics.upcoming_player_game_context"


@contextmanager
def december_sandbox(times: int = 1):
    """The night of 68 of 158 players, or of so many times as many eligible."""
    sandbox = start_sandbox(multiply_players(build_seed(), times), latency=JobLatency(scale=TIME_SCALE))
    try:
        yield sandbox
    finally:
        sandbox.stop()


def multiply_players(seed: Seed, times: int) -> Seed:
    """The seed with every context row of the night repeated for so many players of other names."""
    context = [row for row in seed.tables[CONTEXT_TABLE] if row["game_date"] == str(NIGHT)]
    more = [{**row, "player_lookup": f"{row['player_lookup']}{n}"} for n in range(1, times) for row in context]
    return replace(seed, tables={**seed.tables, CONTEXT_TABLE: [*seed.tables[CONTEXT_TABLE], *more]})


def measure(
    unit_players: int,
    at_once: int,
    times: int = 1,
    open_sandbox: Callable[[], AbstractContextManager[Sandbox]] | None = None,
) -> WriteRun:
    """One run of the night, with requests from 20 worker processes' worth of warehouses."""
    with (open_sandbox or (lambda: december_sandbox(times)))() as sandbox:
        clients = connect(Settings.from_env({"SANDBOX_URL": sandbox.url}))
        retry = RetryPolicy(base_backoff_s=5 * TIME_SCALE)
        run = plan_run(clients, NIGHT)
        if run is None or len(run.players) != PLAYERS * times:
            raise RuntimeError(f"{len(run.players) if run else 0} players are eligible, not {PLAYERS * times}.")
        workers = WorkerPool(clients, BaselinePredictor(), retry).as_worker()
        with serve_app(create_app(workers)) as url, dispatching(unit_players, at_once):
            sandbox.state.cloud_run.backends["prediction-worker"] = url
            runner = BatchRunner(clients, retry)
            earlier_jobs = _job_ids(sandbox)
            sandbox.state.meter.reset()
            started = time.monotonic()
            record = runner.run(runner.record_requested(run))
            seconds, calls = time.monotonic() - started, bigquery_calls(sandbox.state.meter.calls)
        if record.state is not BatchState.CONSOLIDATED:
            raise RuntimeError(f"The run ended as {record.state}: {record.reason}")
        return WriteRun(
            len(run.players),
            unit_players,
            at_once,
            calls,
            quota_peaks(sandbox.state.limits),
            _count_mutating_dml(sandbox, earlier_jobs),
            seconds,
            len(run.players) * ROWS_A_PLAYER,
            count_active_rows(clients),
            refused=_count_refused(sandbox, earlier_jobs),
        )


def count_active_rows(clients: Any) -> int:
    """Active rows of the night."""
    return sum(row.is_active for _, row in BigQueryWarehouse(clients).read_rows(PREDICTIONS_TABLE, NIGHT))


def _job_ids(sandbox: Sandbox) -> set[str]:
    return {job.job_id for job in sandbox.state.bigquery.jobs.all("US")}


def _new_jobs(sandbox: Sandbox, earlier: set[str]) -> list[Any]:
    return [job for job in sandbox.state.bigquery.jobs.all("US") if job.job_id not in earlier]


def _count_mutating_dml(sandbox: Sandbox, earlier: set[str]) -> int:
    """Statements that changed or may have changed rows, whatever came of them."""
    jobs = _new_jobs(sandbox, earlier)
    kinds = (job.resource["statistics"].get("query", {}).get("statementType") for job in jobs)
    return sum(kind in MUTATING_KINDS for kind in kinds)


def _count_refused(sandbox: Sandbox, earlier: set[str]) -> int:
    """Jobs that ended with an error."""
    return sum(job.error is not None for job in _new_jobs(sandbox, earlier))


def format_calls(runs: Sequence[WriteRun]) -> str:
    """A line per run, with its calls by method."""
    methods = sorted({method for run in runs for method in run.calls})
    heads = "".join(f"{method.rpartition('.')[2]:>16}" for method in methods)
    lines = [f"{'':44}{'calls':>7}{'seconds':>9}{'rows':>9}{heads}"]
    for run in runs:
        counts = "".join(f"{run.calls.get(method, 0):16,}" for method in methods)
        lines.append(f"{run.name:44}{run.total_calls:7,}{run.seconds:9.1f}{run.active_rows:9,}{counts}")
    return "\n".join(lines)


def format_peaks(runs: Sequence[WriteRun]) -> str:
    """A line per quota, with its peak in percent of each run."""
    quotas = sorted({quota for run in runs for quota in run.peaks})
    lines = [f"{'peak use, %':44}" + "".join(f"{f'{run.players:,}/{run.at_once}':>14}" for run in runs)]
    for quota in quotas:
        lines.append(f"  {quota:42}" + "".join(f"{run.peaks.get(quota, 0.0):14.1f}" for run in runs))
    return "\n".join(lines)
