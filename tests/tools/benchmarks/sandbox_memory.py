"""`make bench-sandbox`: what the sandbox itself costs: MB per staged player, CPU per copied table, MB of a scenario.

`python -m tests.tools.benchmarks.sandbox_memory [PLAYERS]`; SCENARIO is the data it starts with.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPICallError

from services.batches import ids
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.pipeline.warehouse import BigQueryWarehouse, JobFailed
from services.pipeline.worker.staging_writer import StagingWriter
from tests.tools.benchmarks.harness import start_sandbox_with_pid
from tests.tools.benchmarks.write_calls import NIGHT
from tests.tools.benchmarks.write_speed import CONCURRENCY, make_predictions

PLAYERS = 1_580
MB = 1_048_576
_CLOCK_TICKS, _PAGE_SIZE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Usage:
    """A process so far: CPU seconds, and MB of memory in use now."""

    cpu_s: float
    memory_mb: float

    @classmethod
    def of(cls, pid: int) -> Usage:
        process = Path("/proc", str(pid))
        fields = process.joinpath("stat").read_text().rpartition(")")[2].split()
        pages = int(process.joinpath("statm").read_text().split()[1])
        return cls((int(fields[11]) + int(fields[12])) / _CLOCK_TICKS, pages * _PAGE_SIZE / MB)


@dataclass(frozen=True)
class StagedNight:
    """Players that were staged, copied into one table and dropped: the cost of each, and the errors by message."""

    players: int
    seconds: float
    errors: tuple[str, ...]
    staging_cpu_s: float
    staging_mb: float  # of a player whose table is there
    dropped_mb: float  # of a player whose table is dropped again
    copy_cpu_s: float


def stage_and_drop(clients: Clients, pid: int, players: int) -> StagedNight:
    """Stage that many players, 100 at once, copy their tables into one and drop them."""
    predictions = list(make_predictions(clients).values())
    batch, warehouse = f"batch_{NIGHT}_444444", BigQueryWarehouse(clients)
    writer = StagingWriter(warehouse)
    units = [ids.work_unit_id(f"player{i}") for i in range(players)]
    tables = [ids.staging_table(batch, unit) for unit in units]
    warehouse.get_columns()
    before, started = Usage.of(pid), time.monotonic()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        outcomes = list(
            pool.map(lambda i: _try_write(writer, batch, units[i], predictions[i % len(predictions)]), range(players))
        )
    seconds, staged = time.monotonic() - started, Usage.of(pid)
    copied_from = Usage.of(pid)
    for first in range(0, players, 1_000):
        warehouse.copy(tables[first : first + 1_000], "nba_predictions.bench_copies", f"bench_copy_{first}")
    copied = Usage.of(pid)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(warehouse.drop, [*tables, "nba_predictions.bench_copies"]))
    dropped = Usage.of(pid)
    return StagedNight(
        players,
        seconds,
        tuple(filter(None, outcomes)),
        (staged.cpu_s - before.cpu_s) / players,
        (staged.memory_mb - before.memory_mb) / players,
        (dropped.memory_mb - before.memory_mb) / players,
        (copied.cpu_s - copied_from.cpu_s) / players,
    )


def _try_write(writer: StagingWriter, batch: str, unit: str, rows: list[dict[str, Any]]) -> str:
    try:
        writer.write(batch, unit, rows)
    except (GoogleAPICallError, JobFailed) as error:
        return str(error)[:200]
    return ""


def main() -> None:
    players = int(sys.argv[1]) if len(sys.argv) > 1 else PLAYERS
    with start_sandbox_with_pid() as (address, pid):
        scenario = os.environ.get("SCENARIO") or "december"
        print(f"{scenario}: {Usage.of(pid).memory_mb:,.0f} MB after start", flush=True)
        night = stage_and_drop(connect(Settings.from_env({"SANDBOX_URL": address})), pid, players)
    print(
        f"{night.players:,} players staged in {night.seconds:.0f} s, {len(night.errors)} errors {set(night.errors) or ''}\n"
        f"per staged player: {night.staging_cpu_s:.4f} CPU s, {night.staging_mb:.3f} MB; after its table is dropped"
        f" {night.dropped_mb:.3f} MB\nper copied table: {night.copy_cpu_s:.5f} CPU s"
    )


if __name__ == "__main__":
    main()
