"""One seeded sandbox for the whole session, reached over HTTP like the real thing; a fresh one where a test needs its own.

Importing this module is cheap: the sandbox and Google's clients are imported by the fixtures that use them, so that
`make test-fast` (tests/unit) pays for neither.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from services.core.settings import Settings
    from services.gcp.clients import Clients
    from services.sandbox.server import Sandbox
    from tests.support.discovery_recorder import DiscoveryRecorder


hypothesis.settings.register_profile("behaviour", deadline=None)  # a loaded machine is no failure
hypothesis.settings.load_profile("behaviour")


def _start_seeded_sandbox() -> Sandbox:
    """A sandbox with the fortnight of December in it."""
    from services.sandbox.scenarios.december import build_seed
    from services.sandbox.server import start_sandbox
    from tests.support.sandbox import FAST

    return start_sandbox(build_seed(), latency=FAST)


def _settings_for(sandbox: Sandbox, name: str) -> Settings:
    from tests.support.sandbox import settings_as

    return settings_as(sandbox, name)


def _connect(settings: Settings) -> Clients:
    from services.gcp.clients import connect

    return connect(settings)


@pytest.fixture(scope="session")
def discovery_recorder() -> Iterator[DiscoveryRecorder]:
    """Records the calls of every sandbox that is started after it, in the folders whose conftest.py asks for it.

    They copy the fortnight of December from the first one.
    """
    from services.sandbox import server
    from services.sandbox.http.gateway import create_app
    from services.sandbox.seed_loader import load_tables
    from tests.support.discovery_recorder import DiscoveryRecorder
    from tests.support.seed_copies import copy_instead_of_load

    recorder = DiscoveryRecorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "create_app", lambda state: recorder.wrap(create_app(state)))
        patch.setattr(server, "load_tables", copy_instead_of_load(load_tables))
        yield recorder


@pytest.fixture
def conforms_to_discovery_documents(discovery_recorder: DiscoveryRecorder) -> Iterator[None]:
    """Fails a test in which a call or its answer is not as Google's discovery documents have it."""
    yield
    if deviations := discovery_recorder.take():
        pytest.fail("Not as in Google's discovery documents:\n" + "\n".join(map(str, deviations)), pytrace=False)


@pytest.fixture(scope="session")
def shared_sandbox() -> Sandbox:
    """The fortnight of December. Tests that use it change nothing in it but faults.

    It ends with this process: after a thousand tests its emulator takes longer to stop than a stop waits, 20 s.
    """
    return _start_seeded_sandbox()


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared sandbox, without faults and with its limits' windows empty."""
    shared_sandbox.state.reset_limits()
    yield shared_sandbox
    shared_sandbox.state.reset_limits()


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    """Settings of the reading account in the shared sandbox, otherwise the defaults."""
    return _settings_for(sandbox, "read")


@pytest.fixture
def clients(settings: Settings) -> Clients:
    """Google's real clients, connected to the shared sandbox as the account that reads."""
    return _connect(settings)


@pytest.fixture
def fresh_sandbox() -> Iterator[Sandbox]:
    """A sandbox of its own, with the fortnight in it, for tests that change what is there."""
    sandbox = _start_seeded_sandbox()
    yield sandbox
    sandbox.stop()


@pytest.fixture
def fresh_clients(fresh_sandbox: Sandbox) -> Clients:
    """Google's real clients, connected to the test's own sandbox as the account that acts."""
    return _connect(_settings_for(fresh_sandbox, "act"))


def pytest_unconfigure() -> None:
    """Keep logging silent about closed streams: servers may end after the terminal is closed."""
    logging.raiseExceptions = False
