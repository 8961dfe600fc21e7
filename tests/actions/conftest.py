"""A desk with a sandbox of its own per module: actions change what is there, and each test starts from what it says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.actions.executor import run_action
from services.actions.log_reader import Action, read_log
from services.actions.verb import Verb
from services.auth.roles import Actor, Role
from services.core.clock import night_window
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import Sandbox, start_sandbox

OPERATOR = Actor("nora", Role.OPERATOR)
VIEWER = Actor("vic", Role.VIEWER)


@pytest.fixture(scope="module")
def own_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(build(), speed=Speed(scale=0.01))
    sandbox.world.run._rollout_s = 0.15
    yield sandbox
    sandbox.stop()


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll-outs take a third of a second here, so they are looked at more often."""
    monkeypatch.setattr("services.scaling.actions.ASK_AGAIN_S", 0.05)


@pytest.fixture
def desk(own_sandbox: Sandbox) -> Iterator[Cloud]:
    """Real clients of the module's sandbox, its limits and faults cleared."""
    own_sandbox.world.reset_limits()
    yield connect(Settings.from_env({"SANDBOX_URL": own_sandbox.address}))
    own_sandbox.world.reset_limits()


@pytest.fixture
def told(desk: Cloud) -> Callable[[], list[Action]]:
    """What the log tells of this test: the actions that began since it started, oldest first."""
    start = desk.now()
    return lambda: list(reversed(read_log(desk, start, night_window(start.date())[1]).actions))


@pytest.fixture
def do(desk: Cloud) -> Callable[..., Action]:
    """Plan a verb and run the plan as an operator."""

    def run(verb: Verb, reason: str = "because", typed: str = "", actor: Actor = OPERATOR, **args: Any) -> Action:
        return run_action(desk, actor, verb, verb.plan(desk, args), reason, typed)

    return run


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """Run all at the same moment; each one's result or its exception."""
    ready, results = threading.Barrier(len(deeds)), [None] * len(deeds)

    def run(i: int) -> None:
        ready.wait()
        try:
            results[i] = deeds[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(deeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
