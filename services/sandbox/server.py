"""Starting and stopping a sandbox in this process: emulator, gateway and the night's data."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

import uvicorn

from services.core.clock import Clock, OffsetClock
from services.sandbox.bigquery.billing_meter import BillingMeter
from services.sandbox.bigquery.emulator import Emulator
from services.sandbox.bigquery.information_schema import InformationSchema
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.bigquery.job_server import BigQueryJobServer
from services.sandbox.bigquery.job_store import to_epoch_ms
from services.sandbox.bigquery.limits import Limits
from services.sandbox.bigquery.streaming_buffer import StreamingDelays
from services.sandbox.bigquery.time_travel import DroppedTableStore
from services.sandbox.common.fault_injection import Faults
from services.sandbox.http.connection_drops import ConnectionDropper
from services.sandbox.http.gateway import create_app
from services.sandbox.http.scheduler_routes import december_scheduler_jobs
from services.sandbox.seed import Seed
from services.sandbox.seed_loader import load_tables
from services.sandbox.stand_ins.cloud_logging import LogStore
from services.sandbox.stand_ins.cloud_run import CloudRun
from services.sandbox.state import SandboxState

SCENARIO_START = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
PROJECT = "nba-props-platform"


@dataclass
class Sandbox:
    """A running sandbox: its URL, and the state behind it for tests that inject faults."""

    url: str
    state: SandboxState
    emulator: Emulator
    _server: uvicorn.Server
    _thread: threading.Thread

    def stop(self) -> None:
        """Stop the gateway, then the emulator; returns when both threads have ended."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self.emulator.stop()


def start_sandbox(
    seed: Seed | None = None,
    *,
    port: int = 0,
    clock: Clock | None = None,
    latency: JobLatency | None = None,
    project: str = PROJECT,
    streaming: StreamingDelays | None = None,
    requires_credentials: bool = False,
) -> Sandbox:
    """Start emulator and gateway and load `seed`; returns when the URL answers. Port 0 picks a free one.

    A request without credentials is the developer's, who owns the project, unless the sandbox `requires_credentials`.

    Raises RuntimeError when the port cannot be bound.
    """
    clock = clock or OffsetClock.starting_at(SCENARIO_START)
    emulator = Emulator(clock).start()
    meter, limits, faults = BillingMeter(), Limits(), Faults()
    bigquery = BigQueryJobServer(
        emulator.open_client(), project, clock, limits, meter, latency or JobLatency(), streaming or StreamingDelays()
    )
    bigquery.copier.emulator = emulator
    bigquery.copier.dropped_tables = DroppedTableStore(emulator, bigquery.http, project, clock)
    bigquery.tables.connect(emulator.fetch_rows, emulator.execute, emulator.set_schema)
    bigquery.identities.require_credentials = requires_credentials
    bigquery.queries.information_schema = InformationSchema(bigquery, emulator, bigquery.identities.allows)
    cloud_run = CloudRun(clock, "")
    state = SandboxState(clock, project, bigquery, cloud_run, LogStore(clock, project), limits, meter, faults)
    dropper = ConnectionDropper(create_app(state))
    config = uvicorn.Config(
        dropper,
        host="127.0.0.1",
        port=port,
        http=dropper.protocol_class(),
        log_config=None,  # leave this process's log handlers alone
        log_level="error",
        access_log=False,
    )
    server = uvicorn.Server(config)  # outside the main thread uvicorn leaves the process's signal handlers alone
    thread = threading.Thread(target=server.run, name="sandbox-gateway", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            emulator.stop()
            raise RuntimeError(f"the gateway did not start on port {port}")
        threading.Event().wait(0.02)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    cloud_run.base_url = url
    sandbox = Sandbox(url, state, emulator, server, thread)
    if seed is not None:
        load_seed(sandbox, seed)
    return sandbox


def load_seed(sandbox: Sandbox, seed: Seed) -> None:
    """Load a scenario's rows, log entries, past jobs and services into the sandbox."""
    state = sandbox.state
    state.bigquery.jobs.seed([dict(job) for job in seed.jobs])
    state.logs.add(seed.log_entries)
    state.cloud_run.seed(seed.services, seed.revisions)
    state.scheduler_jobs[:] = [dict(job) for job in seed.scheduler_jobs] or december_scheduler_jobs()
    state.pubsub.seed(state.project, state.cloud_run.base_url)
    for name, created in seed.table_created.items():
        state.bigquery.tables.created_ms[name] = to_epoch_ms(datetime.fromisoformat(created))
    load_tables(sandbox.emulator, state.project, seed)
