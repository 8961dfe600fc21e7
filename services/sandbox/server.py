"""Starting and stopping a sandbox in this process: emulator, gateway and the night's data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn

from services.core.clock import Clock, RunningClock
from services.sandbox.bigquery.billing_meter import Meter
from services.sandbox.bigquery.emulator import Emulator
from services.sandbox.bigquery.job_server import Speed, Warehouse
from services.sandbox.bigquery.job_store import millis
from services.sandbox.bigquery.limits import Limits
from services.sandbox.bigquery.time_travel import Attic
from services.sandbox.common.fault_injection import Faults
from services.sandbox.http.connection_drops import Line
from services.sandbox.http.gateway import application
from services.sandbox.http.slack_and_scheduler_routes import december_jobs
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load
from services.sandbox.stand_ins.cloud_logging import LogBook
from services.sandbox.stand_ins.cloud_run import CloudRun
from services.sandbox.state import World

NIGHT_STARTS = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
PROJECT = "nba-props-platform"


class _Server(uvicorn.Server):
    """A server in a thread of its own: signals stay with whoever started the sandbox."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Sandbox:
    """A running sandbox: its address, and the world behind it for tests that script faults."""

    address: str
    world: World
    emulator: Emulator
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self.emulator.stop()


def start_sandbox(
    seed: Seed | None = None,
    *,
    port: int = 0,
    clock: Clock | None = None,
    speed: Speed | None = None,
    project: str = PROJECT,
) -> Sandbox:
    """Start everything and load `seed`; returns when the address answers."""
    clock = clock or RunningClock.set_to(NIGHT_STARTS)
    emulator = Emulator(clock).start()
    meter, limits, faults = Meter(), Limits(), Faults()
    warehouse = Warehouse(emulator.address, project, clock, limits, meter, speed or Speed())
    warehouse.copier.attic = Attic(emulator, warehouse.http, project, clock)
    warehouse.tables.rows = emulator.rows
    run = CloudRun(clock, "")
    world = World(clock, project, warehouse, run, LogBook(clock, project), limits, meter, faults)
    line = Line(application(world))
    config = uvicorn.Config(
        line,
        host="127.0.0.1",
        port=port,
        http=line.protocol(),
        log_config=None,  # the host's handlers stay as they are
        log_level="error",
        access_log=False,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, name="sandbox-gateway", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError(f"the gateway did not start on port {port}")
        threading.Event().wait(0.02)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    run.address = address
    sandbox = Sandbox(address, world, emulator, server, thread)
    if seed is not None:
        plant(sandbox, seed)
    return sandbox


def plant(sandbox: Sandbox, seed: Seed) -> None:
    """Put a scenario's past into the sandbox: rows, log lines, jobs, services."""
    world = sandbox.world
    world.warehouse.jobs.seed([dict(job) for job in seed.jobs])
    world.logs.add(seed.log_entries)
    world.run.seed(seed.services, seed.revisions)
    world.jobs[:] = december_jobs()
    for name, created in seed.table_created.items():
        world.warehouse.tables.created[name] = millis(datetime.fromisoformat(created.replace("Z", "+00:00")))
    load(sandbox.emulator.address, world.project, seed)
