"""One sandbox of their own for the tests of the sandbox: they break what is in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_server import JobLatency
from services.sandbox.server import Sandbox, start_sandbox


@pytest.fixture(scope="session")
def shared_blank_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(latency=JobLatency(scale=0.02))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def blank_sandbox(shared_blank_sandbox: Sandbox) -> Iterator[Sandbox]:
    shared_blank_sandbox.state.reset_limits()
    yield shared_blank_sandbox
    shared_blank_sandbox.state.reset_limits()


@pytest.fixture
def blank_clients(blank_sandbox: Sandbox) -> Clients:
    return connect(Settings.from_env({"SANDBOX_URL": blank_sandbox.url}))
