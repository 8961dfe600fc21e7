"""A sandbox, a dashboard and a browser page of their own for the browser tests that act."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.actions.log_reader import Action, read_action_log
from services.core.clock import OffsetClock
from services.gcp.clients import Clients, connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import SCENARIO_START, Sandbox, start_sandbox
from tests.support.coordinators import coordinator_server
from tests.support.paths import ROOT
from tests.support.processes import free_port, wait_for_server
from tests.support.sandbox import dashboard_env, settings_as


def wait_for_outcomes(read_actions: Callable[[], list[Action]], count: int = 1) -> list[Action]:
    """What `read_actions` returns once `count` of its actions have an outcome, which is recorded shortly after the effect."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        actions = read_actions()
        if sum(action.ended_at is not None for action in actions) >= count:
            return actions
        time.sleep(0.3)
    raise AssertionError(f"no {count} outcomes: {read_actions()}")


PAGE_TIMEOUT_MS = 60_000


class AdjustableClock:
    """Real time with an offset that tests increase, for what happens only after minutes without events."""

    def __init__(self) -> None:
        self._clock, self.offset = OffsetClock.starting_at(SCENARIO_START), timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self.offset


@dataclass
class Environment:
    """A sandbox, its coordinator, and as many dashboards as are started."""

    sandbox: Sandbox
    clock: AdjustableClock
    coordinator: str
    processes: dict[str, subprocess.Popen[bytes]]

    def start_dashboard(self) -> str:
        address = f"http://127.0.0.1:{free_port()}"
        port = address.rpartition(":")[2]
        env = {**os.environ, **dashboard_env(self.sandbox), "COORDINATOR_URL": self.coordinator}
        command = [sys.executable, "-m", "app.server"]
        self.processes[address] = subprocess.Popen(command, cwd=ROOT, env={**env, "DASHBOARD_PORT": port})
        wait_for_server(f"{address}/_stcore/health", self.processes[address])
        return address

    def kill(self, address: str) -> None:
        self.processes[address].kill()
        self.processes[address].wait(timeout=20)

    @property
    def clients(self) -> Clients:
        return connect(settings_as(self.sandbox, "act"))

    def count_changes(self) -> int:
        """How often the worker service has been changed."""
        return next(
            int(s["generation"]) for n, s in self.sandbox.state.cloud_run.services.items() if n.endswith("-worker")
        )

    def read_actions(self, since: datetime) -> list[Action]:
        return [
            a for a in read_action_log(self.clients, since, since + timedelta(days=1)).actions if a.started_at >= since
        ]


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    clock = AdjustableClock()
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.02), clock=clock)
    with coordinator_server(sandbox) as coordinator:
        environment = Environment(sandbox, clock, coordinator, {})
        yield environment
        for process in environment.processes.values():
            process.terminate()
            process.wait(timeout=20)
    sandbox.stop()


@pytest.fixture(scope="module")
def module_dashboard_url(environment: Environment) -> str:
    return environment.start_dashboard()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    yield page
    page.close()


def wait_for_actions(environment: Environment, since: datetime, count: int = 1) -> list[Action]:
    """The actions since an instant, once `count` of them have an outcome."""
    return wait_for_outcomes(lambda: environment.read_actions(since), count)
