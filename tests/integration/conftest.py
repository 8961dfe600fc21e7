"""Clients with a sandbox of their own per module, because actions change what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.actions.action_type import ActionType
from services.actions.executor import execute
from services.actions.log_reader import Action, read_action_log
from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.auth.roles import Actor
from services.core.clock import night_window
from services.gcp.clients import Clients, connect
from services.policy.concurrency_config import SelfHealingConfig
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.scenarios.december import build_seed
from services.sandbox.server import Sandbox, start_sandbox
from tests.support.actors import OPERATOR
from tests.support.discovery_recorder import DiscoveryRecorder
from tests.support.sandbox import settings_as


@pytest.fixture(scope="session", autouse=True)
def recorded_sandboxes(discovery_recorder: DiscoveryRecorder) -> None:
    """Every sandbox that is started from here on is recorded."""


@pytest.fixture(autouse=True)
def conforming_calls(conforms_to_discovery_documents: None) -> None:
    """Every test here fails when a call or its answer is not as Google's discovery documents have it."""


@pytest.fixture(autouse=True)
def unhurried_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging tables are read whole at the first look, however slow the machine is."""
    monkeypatch.setattr("services.batches.staged_rows.READ_BUDGET_S", 60.0)


@pytest.fixture(scope="module")
def module_sandbox() -> Iterator[Sandbox]:
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    sandbox.state.cloud_run._rollout_s = 0.15
    yield sandbox
    sandbox.stop()


@pytest.fixture(autouse=True)
def fast_rollout_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll-outs take a third of a second here, so they are polled more often."""
    monkeypatch.setattr("services.scaling.service_update.POLL_INTERVAL_S", 0.05)


@pytest.fixture
def module_clients(module_sandbox: Sandbox) -> Iterator[Clients]:
    """Real clients of the module's sandbox as the account that acts, its limits and faults cleared."""
    module_sandbox.state.reset_limits()
    yield connect(settings_as(module_sandbox, "act"))
    module_sandbox.state.reset_limits()


@pytest.fixture
def recorded_actions(module_clients: Clients) -> Callable[[], list[Action]]:
    """The actions that the log has since this test began, oldest first."""
    start = module_clients.now()
    return lambda: list(reversed(read_action_log(module_clients, start, night_window(start.date())[1]).actions))


@pytest.fixture
def plan_and_execute(module_clients: Clients) -> Callable[..., Action]:
    """Plan an action and execute the plan, by default as an operator who types what has to be typed."""

    def run(verb: ActionType, reason: str = "because", typed: str = "", actor: Actor = OPERATOR, **args: Any) -> Action:
        plan = verb.plan(module_clients, args)
        return execute(module_clients, actor, verb, plan, reason, typed or plan.confirmation_text)

    return run


@pytest.fixture(scope="module")
def checked_sandbox() -> Iterator[tuple[Clients, Sandbox]]:
    """A sandbox that the watchdog has checked once, with clients of it."""
    checked = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    clients = connect(settings_as(checked, "act", SLACK_WEBHOOK_URL=f"{checked.url}/slack/webhook"))
    run_check(clients, CheckCache(), SelfHealingConfig())
    yield clients, checked
    checked.stop()
