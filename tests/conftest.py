"""One seeded sandbox for the whole session, reached over HTTP like the real thing; a fresh one where a test needs its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import Sandbox, start_sandbox

FAST = Speed(scale=0.02)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    """The fortnight of December. Tests that use it change nothing in it but faults."""
    sandbox = start_sandbox(build(), speed=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared sandbox, without faults and with its limits' windows empty."""
    shared_sandbox.world.reset_limits()
    yield shared_sandbox
    shared_sandbox.world.reset_limits()


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    return Settings.from_env({"SANDBOX_URL": sandbox.address})


@pytest.fixture
def cloud(settings: Settings) -> Cloud:
    return connect(settings)


@pytest.fixture
def fresh_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own, with the fortnight in it, for tests that change what is there."""
    sandbox = start_sandbox(build(), speed=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def fresh_cloud(fresh_sandbox: Sandbox) -> Cloud:
    return connect(Settings.from_env({"SANDBOX_URL": fresh_sandbox.address}))


@pytest.fixture
def empty_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own without any data."""
    sandbox = start_sandbox(speed=FAST)
    yield sandbox
    sandbox.stop()


@pytest.fixture
def empty_cloud(empty_sandbox: Sandbox) -> Cloud:
    return connect(Settings.from_env({"SANDBOX_URL": empty_sandbox.address}))


def pytest_unconfigure() -> None:
    """Servers that end after the terminal is closed have nothing left to say."""
    logging.raiseExceptions = False
