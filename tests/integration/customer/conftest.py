"""The customer's own world: their nights, as their services of that week ran them, before our dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.clock import OffsetClock
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache
from services.sandbox.scenarios.catalog import get_scenario
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.sandbox import FAST

SCENARIO = get_scenario("customer")


@pytest.fixture(scope="module")
def customer_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(latency=FAST, clock=OffsetClock.starting_at(SCENARIO.starts_at))
    SCENARIO.load(sandbox)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="module")
def customer_clients(customer_sandbox: Sandbox) -> Clients:
    """Clients with a cache: sixty log reads a minute are allowed. Where the datasets are is found out."""
    clients = connect(Settings.from_env({"SANDBOX_URL": customer_sandbox.url}))
    cache = ReadCache(lambda: clients.now().timestamp(), clients.now())
    return Clients(**{**vars(clients), "cache": cache})
