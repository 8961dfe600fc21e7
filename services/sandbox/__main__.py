"""`make run`: the night of 29 December on this machine — sandbox, workers, coordinator, dashboard and watchdog, ended by Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import requests
from dotenv import dotenv_values

from services.core.clock import ET, OffsetClock
from services.core.errors import SettingsError
from services.core.settings import SandboxSettings
from services.core.thresholds import Thresholds
from services.sandbox.common.identities import account_address
from services.sandbox.common.ports import bind_error, free_port
from services.sandbox.scenarios.catalog import Scenario, get_scenario
from services.sandbox.server import Sandbox, start_sandbox

MAX_RESTART_INTERVAL_S = 30.0
THRESHOLDS_FILE = Path(__file__).parents[2] / "deploy" / "thresholds.env"  # no image has it: the defaults hold there
STABLE_AFTER_S = 60.0  # a child that has lived so long is no crash loop


@dataclass(frozen=True)
class Child:
    """One process that this supervisor started; `health_url` answers with 2xx once it is up."""

    name: str
    process: subprocess.Popen[bytes]
    health_url: str
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    started_at_s: float = 0.0  # monotonic
    early_ends: int = 0  # how often in a row it has ended within STABLE_AFTER_S


def read_settings(env: Mapping[str, str] | None = None) -> SandboxSettings:
    """The scenario and the three ports; exits with one sentence when one cannot be used or a port is taken."""
    try:
        settings = SandboxSettings.from_env(env)
    except SettingsError as error:
        sys.exit(str(error))
    port_by_variable = {
        "DASHBOARD_PORT": settings.dashboard_port,
        "SANDBOX_PORT": settings.sandbox_port,
        "COORDINATOR_PORT": settings.coordinator_port,
    }
    for variable, port in port_by_variable.items():
        if other := next((name for name, used in port_by_variable.items() if used == port and name != variable), ""):
            sys.exit(f"{variable} and {other} are both {port}: set one of them to another port.")
        problem = bind_error(port)
        if isinstance(problem, PermissionError):
            sys.exit(f"Port {port} is reserved for root: set {variable} to a port from 1024 to 65535.")
        if problem is not None:
            sys.exit(f"Port {port} is in use: end what runs there, or set {variable} to another port.")
    return settings


def read_thresholds(path: Path = THRESHOLDS_FILE, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of the thresholds' file, where the environment does not set them; exits with one sentence for a wrong one."""
    variables = {name: env.get(name) or value or "" for name, value in dotenv_values(path, interpolate=False).items()}
    try:
        Thresholds.from_env({**variables, **env})
    except SettingsError as error:
        sys.exit(str(error))
    return variables


def start_child(name: str, command: Sequence[str], env: Mapping[str, str], health_url: str) -> Child:
    """Start a child in its own process group, so that Ctrl-C reaches it through us only."""
    process = subprocess.Popen([sys.executable, "-m", *command], env={**os.environ, **env}, start_new_session=True)  # noqa: S603
    return Child(name, process, health_url, tuple(command), env, time.monotonic())


def restart_if_ended(child: Child, now_s: float) -> Child:
    """The child, or its successor when it has ended: what is killed comes back, as on Cloud Run.

    One that keeps ending early is started 1, 2, 4, … and at most MAX_RESTART_INTERVAL_S seconds after its last start.
    """
    lived_s = now_s - child.started_at_s
    if child.process.poll() is None or lived_s < min(2**child.early_ends, MAX_RESTART_INTERVAL_S):
        return child
    print(f"The {child.name} ended with code {child.process.returncode}; it is started again.", flush=True)
    early_ends = child.early_ends + 1 if lived_s < STABLE_AFTER_S else 0
    return replace(start_child(child.name, child.command, child.env, child.health_url), early_ends=early_ends)


def _escalation(sandbox: Sandbox) -> dict[str, str]:
    """The sandbox's own second channel, in PagerDuty's shape; where the environment names one, that one."""
    if any(os.environ.get(name) for name in ("ESCALATION_URL", "ESCALATION_KEY")):
        return {}
    return {
        "ESCALATE_AFTER_MIN": os.environ.get("ESCALATE_AFTER_MIN") or "15",
        "ESCALATION_FORMAT": "pagerduty",
        "ESCALATION_URL": f"{sandbox.url}/pager/v2/enqueue",
        "ESCALATION_KEY": "sandbox" + "0" * 25,
    }


def start_children(
    sandbox: Sandbox, settings: SandboxSettings, scenario: Scenario, thresholds: Mapping[str, str]
) -> list[Child]:
    """Worker, coordinator, dashboard and watchdog, each as the account that deploy/apply.sh gives it."""
    read, act, pipeline = (account_address(name, sandbox.state.project) for name in ("read", "act", "pipeline"))
    env = {
        **thresholds,
        **scenario.settings,
        "SANDBOX_URL": sandbox.url,
        "COORDINATOR_URL": f"{sandbox.url}/run/prediction-coordinator",  # by Cloud Run, which asks who may invoke it
        "DASHBOARD_URL": f"http://127.0.0.1:{settings.dashboard_port}",
        "SLACK_WEBHOOK_URL": settings.slack_webhook_url or f"{sandbox.url}/slack/webhook",
        **_escalation(sandbox),
    }
    started = []
    if importlib.util.find_spec("services.pipeline.worker") is not None:
        for name, port in (("worker", free_port()), ("coordinator", settings.coordinator_port)):
            url = f"http://127.0.0.1:{port}"
            sandbox.state.cloud_run.backends[f"prediction-{name}"] = url
            pipeline_env = {**env, "PORT": str(port), "SANDBOX_PRINCIPAL": pipeline}
            started.append(start_child(name, [f"services.pipeline.{name}"], pipeline_env, f"{url}/health"))
    port = settings.dashboard_port
    dashboard_env = {**env, "DASHBOARD_PORT": str(port), "SANDBOX_PRINCIPAL": read, "ACTING_ACCOUNT": act}
    started.append(start_child("dashboard", ["app.server"], dashboard_env, f"http://127.0.0.1:{port}/_stcore/health"))
    watchdog_command, watchdog_env = ["services.alerts.watchdog", "--every", "60"], {**env, "SANDBOX_PRINCIPAL": act}
    return [*started, start_child("watchdog", watchdog_command, watchdog_env, f"{sandbox.url}/sandbox/health")]


def wait_until_up(child: Child, timeout_s: float = 60) -> None:
    """Wait until the child answers its health URL; exits with one sentence when it ends or does not answer in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if child.process.poll() is not None:
            sys.exit(f"The {child.name} ended with code {child.process.returncode}; its last lines are above.")
        try:
            if requests.get(child.health_url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    sys.exit(f"The {child.name} did not answer at {child.health_url} within {timeout_s:g} s.")


def stop_children(running: list[Child]) -> None:
    """Terminate every child with its process group; kill what has not ended after 5 s."""
    for child in running:
        if child.process.poll() is None:
            os.killpg(child.process.pid, signal.SIGTERM)
    for child in running:
        try:
            child.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(child.process.pid, signal.SIGKILL)


def main() -> None:
    settings, thresholds = read_settings(), read_thresholds()
    shutdown = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: shutdown.set())
    scenario = get_scenario(settings.scenario)
    started_at = time.monotonic()
    sandbox = start_sandbox(
        port=settings.sandbox_port,
        clock=OffsetClock.starting_at(scenario.starts_at),
        requires_credentials=settings.sandbox_requires_credentials,
    )
    running: list[Child] = []
    try:
        scenario.load(sandbox)
        running = start_children(sandbox, settings, scenario, thresholds)
        for child in running:
            wait_until_up(child)
        print(f"\n  Dashboard    http://127.0.0.1:{settings.dashboard_port}")
        if len(running) > 1:
            print(f"  Coordinator  http://127.0.0.1:{settings.coordinator_port}")
        print(f"  Sandbox      {sandbox.url}   (BigQuery, Cloud Run, Logging, Scheduler)")
        print(f"  Slack        {sandbox.url}/slack/messages")
        print(f"  Pager        {sandbox.url}/pager/messages   (an alert that nobody acknowledged)")
        now = sandbox.state.clock.now().astimezone(ET)
        print(
            f"\n  It is {now:%-d %B %Y, %H:%M} ET. Up in {time.monotonic() - started_at:.1f} s. Ctrl-C ends everything.\n",
            flush=True,
        )
        while not shutdown.wait(1):
            running = [restart_if_ended(child, time.monotonic()) for child in running]
    finally:
        stop_children(running)
        sandbox.stop()


if __name__ == "__main__":
    main()
