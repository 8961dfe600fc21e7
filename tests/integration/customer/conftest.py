"""The customer's own world: their nights, as their services of that week ran them, before our dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache
from services.sandbox.server import Sandbox
from tests.support.sandbox import running_scenario


@pytest.fixture(scope="module")
def customer_sandbox() -> Iterator[Sandbox]:
    with running_scenario("customer") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def customer_clients(customer_sandbox: Sandbox) -> Clients:
    """Clients with a cache: sixty log reads a minute are allowed. Where the datasets are is found out."""
    clients = connect(Settings.from_env({"SANDBOX_URL": customer_sandbox.url}))
    cache = ReadCache(lambda: clients.now().timestamp(), clients.now())
    return Clients(**{**vars(clients), "cache": cache})
