"""The production coordinator and workers at any size: on the in-memory BigQuery behind its limits, on a simulated clock.

`python -m tests.tools.benchmarks.write_scale PLAYERS ROWS_A_PLAYER` prints the run as JSON; what it does goes to stderr. It is a
process of its own, because its memory is that of the coordinator.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from services.batches.state import BatchState
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.consolidator import DROP_THREADS
from services.pipeline.coordinator.batch_runner import BatchRunner
from services.pipeline.coordinator.dispatcher import MAX_UNIT_PLAYERS
from services.pipeline.coordinator.run_request import plan_run
from services.pipeline.warehouse import BigQueryWarehouse
from services.pipeline.worker.app import create_app
from services.pipeline.worker.predictor import BaselinePredictor, PredictionRequest, Row
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import WORKER_HOST, SimulatedClock, in_memory, memory_clients
from tests.support.memory_rows import NIGHT
from tests.support.paths import ROOT
from tests.tools.benchmarks.simulated_cloud import Cloud, SimulatedBigQuery, open_cloud
from tests.tools.benchmarks.worker_pool import WorkerPool, dispatching
from tests.tools.benchmarks.write_run import WriteRun, quota_peaks

AT_ONCE = 100
SIZES = {15_800: 25, 158_000: 1}  # rows a player: quotas do not count rows, so the largest has one


class FewRowsPredictor:
    """The baseline's first rows of each player."""

    def __init__(self, rows: int) -> None:
        self._rows, self._players = rows, 0

    def predict(self, request: PredictionRequest, at: Any) -> Sequence[Row]:
        self._players += 1
        if self._players % 5_000 == 0:
            say(f"{self._players:,} players predicted")
        return BaselinePredictor().predict(request, at)[: self._rows]


def run(players: int, rows_a_player: int) -> WriteRun:
    """One batch of that many players, whose rows were not there before."""
    clock = SimulatedClock()
    with open_cloud(clock, players) as cloud:
        predictor, retry = FewRowsPredictor(rows_a_player), clock.retry_policy()
        coordinator, worker = (_clients(cloud, at_once) for at_once in (DROP_THREADS, AT_ONCE))
        app = create_app(WorkerPool(worker, predictor, retry).as_worker(), local=False)
        with in_memory(clock, {WORKER_HOST: app}), dispatching(MAX_UNIT_PLAYERS, AT_ONCE):
            runner = BatchRunner(coordinator, retry)
            planned = plan_run(coordinator, NIGHT)
            if planned is None:
                raise RuntimeError("Nobody is eligible.")
            cloud.calls.clear()
            started = clock.monotonic()
            record = runner.run(runner.record_requested(planned))
            seconds, calls = clock.monotonic() - started, dict(cloud.calls)
            if record.state is not BatchState.CONSOLIDATED:
                raise RuntimeError(f"The run ended as {record.state}: {record.reason}")
            memory_mb = read_peak_mb()
            active = sum(row.is_active for _, row in BigQueryWarehouse(coordinator).read_rows(PREDICTIONS_TABLE, NIGHT))
    return WriteRun(
        players,
        MAX_UNIT_PLAYERS,
        AT_ONCE,
        calls,
        quota_peaks(cloud.limits),
        cloud.mutating_dml,
        seconds,
        players * rows_a_player,
        active,
        memory_mb,
        sum(cloud.refused.values()),
    )


def _clients(cloud: Cloud, at_once: int) -> Any:
    """The clients of a process; the project that `memory_clients` asks for is in the cloud's process."""
    here = memory_clients(cast(MemoryProject, SimpleNamespace(clock=cloud.clock)))
    return replace(here, bigquery=cast(Any, SimulatedBigQuery(cloud, at_once)))


def read_peak_mb() -> float:
    """The most memory that this program has had. getrusage would give that of the process which started it, if it had more."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def run_in_process(players: int) -> WriteRun:
    """The same in a new process."""
    command = [sys.executable, "-m", "tests.tools.benchmarks.write_scale", str(players), str(SIZES[players])]
    return WriteRun.from_json(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def say(text: str) -> None:
    print(f"    {time.perf_counter() - _started:5.0f} s  {text}", file=sys.stderr, flush=True)


_started = time.perf_counter()


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    print(run(int(sys.argv[1]), int(sys.argv[2])).to_json())


if __name__ == "__main__":
    main()
