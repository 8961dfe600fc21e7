"""One sandbox of their own for the tests of the sandbox: they break what is in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.server import Sandbox, start_sandbox


@pytest.fixture(scope="session")
def playground() -> Iterator[Sandbox]:
    sandbox = start_sandbox(speed=Speed(scale=0.02))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def own_sandbox(playground: Sandbox) -> Iterator[Sandbox]:
    playground.world.reset_limits()
    yield playground
    playground.world.reset_limits()


@pytest.fixture
def own_cloud(own_sandbox: Sandbox) -> Cloud:
    return connect(Settings.from_env({"SANDBOX_URL": own_sandbox.address}))
