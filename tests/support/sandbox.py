"""Service times for sandboxes that tests start, and settings of one of their accounts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.core.clock import OffsetClock
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.bigquery.job_store import JobStore
from services.sandbox.common.identities import account_address
from services.sandbox.scenarios.catalog import get_scenario
from services.sandbox.server import Sandbox, start_sandbox

FAST = JobLatency(scale=0.02)  # a MERGE of 4.7 s takes about 0.1 s


def account_env(sandbox: Sandbox, name: str, **env: str) -> dict[str, str]:
    """The environment of a process that is the account `name`: read, act, pipeline, tick, customer or developer."""
    return {"SANDBOX_URL": sandbox.url, "SANDBOX_PRINCIPAL": account_address(name, sandbox.state.project), **env}


def dashboard_env(sandbox: Sandbox) -> dict[str, str]:
    """The environment of a dashboard as it is deployed: it reads as one account, and acts as another."""
    return account_env(sandbox, "read", ACTING_ACCOUNT=account_address("act", sandbox.state.project))


def settings_as(sandbox: Sandbox, name: str, **env: str) -> Settings:
    """The settings of such a process."""
    return Settings.from_env(account_env(sandbox, name, **env))


def as_developer(clients: Clients) -> Clients:
    """Clients of the same sandbox that may do everything, for what a test arranges."""
    return connect(Settings.from_env({"SANDBOX_URL": clients.settings.sandbox_url}))


def _count_refused(jobs: JobStore) -> int:
    return sum("Too many DML" in str(job.error) for job in list(jobs._jobs.values()))


@contextmanager
def statements_held(sandbox: Sandbox, until_refused: int) -> Iterator[None]:
    """No statement ends until so many others have been refused."""
    emulator, server = sandbox.emulator, sandbox.state.bigquery
    release = asyncio.Event()

    async def hold() -> None:
        async with emulator._server._engine.write_lock():
            await release.wait()

    held = asyncio.run_coroutine_threadsafe(hold(), emulator._loop)
    try:
        yield
        deadline = time.monotonic() + 60
        while _count_refused(server.jobs) < until_refused:
            assert time.monotonic() < deadline, "not enough statements were refused"
            time.sleep(0.05)
    finally:
        emulator._loop.call_soon_threadsafe(release.set)
        held.result(timeout=10)


@contextmanager
def running_scenario(name: str, latency: JobLatency = FAST) -> Iterator[Sandbox]:
    """A sandbox with a scenario of `make run`, on its clock and with fast jobs."""
    scenario = get_scenario(name)
    sandbox = start_sandbox(latency=latency, clock=OffsetClock.starting_at(scenario.starts_at))
    try:
        scenario.load(sandbox)
        yield sandbox
    finally:
        sandbox.stop()
