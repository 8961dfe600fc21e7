"""One seeded sandbox for the whole session, reached over HTTP like the real thing; a fresh one where a test needs its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_server import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import Sandbox, start_sandbox

FAST = JobLatency(scale=0.02)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """The fortnight of December. Tests that use it change nothing in it but faults."""
    sandbox = start_sandbox(build_seed(), latency=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared sandbox, without faults and with its limits' windows empty."""
    shared_sandbox.state.reset_limits()
    yield shared_sandbox
    shared_sandbox.state.reset_limits()


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    return Settings.from_env({"SANDBOX_URL": sandbox.url})


@pytest.fixture
def clients(settings: Settings) -> Clients:
    return connect(settings)


@pytest.fixture
def fresh_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own, with the fortnight in it, for tests that change what is there."""
    sandbox = start_sandbox(build_seed(), latency=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def fresh_clients(fresh_sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({"SANDBOX_URL": fresh_sandbox.url}))


@pytest.fixture
def empty_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own without any data."""
    sandbox = start_sandbox(latency=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def empty_cloud(empty_sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({"SANDBOX_URL": empty_sandbox.url}))


def pytest_unconfigure() -> None:
    """Servers that end after the terminal is closed have nothing left to say."""
    logging.raiseExceptions = False
