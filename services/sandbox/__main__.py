"""`make run`: the night of 29 December on this machine — sandbox, workers, coordinator, dashboard and watchdog, ended by Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from services.sandbox.common.ports import bind_error, free_port
from services.sandbox.scenarios.season import get_scenario_loader
from services.sandbox.server import Sandbox, start_sandbox

DEFAULT_PORTS = {"DASHBOARD_PORT": 8501, "SANDBOX_PORT": 9050, "COORDINATOR_PORT": 8090}


@dataclass(frozen=True)
class Child:
    """One process that this supervisor started; `health_url` answers with 2xx once it is up."""

    name: str
    process: subprocess.Popen[bytes]
    health_url: str


def read_ports(env: Mapping[str, str]) -> dict[str, int]:
    """The three ports by variable; exits with one sentence when a value is no port, is used twice or cannot be bound."""
    port_by_name: dict[str, int] = {}
    for name, default in DEFAULT_PORTS.items():
        value = env.get(name) or str(default)
        if not (value.isascii() and value.isdigit()) or not 0 < int(value) < 65536:
            sys.exit(f"{name}={value!r} is not a port: give a number from 1 to 65535.")
        port = int(value)
        if port in port_by_name.values():
            other = next(other for other, used in port_by_name.items() if used == port)
            sys.exit(f"{other} and {name} are both {port}: set one of them to another port.")
        error = bind_error(port)
        if isinstance(error, PermissionError):
            sys.exit(f"Port {port} is reserved for root: set {name} to a port from 1024 to 65535.")
        if error is not None:
            sys.exit(f"Port {port} is in use: end what runs there, or set {name} to another port.")
        port_by_name[name] = port
    return port_by_name


def start_child(name: str, command: list[str], env: Mapping[str, str], health_url: str) -> Child:
    """Start a child in its own process group, so that Ctrl-C reaches it through us only."""
    process = subprocess.Popen([sys.executable, "-m", *command], env={**os.environ, **env}, start_new_session=True)  # noqa: S603
    return Child(name, process, health_url)


def start_children(sandbox: Sandbox, port_by_name: Mapping[str, int]) -> list[Child]:
    """Start worker, coordinator, dashboard and watchdog with the sandbox's URL in their environment."""
    env = {
        "SANDBOX_URL": sandbox.url,
        "COORDINATOR_URL": f"http://127.0.0.1:{port_by_name['COORDINATOR_PORT']}",
        "DASHBOARD_URL": f"http://127.0.0.1:{port_by_name['DASHBOARD_PORT']}",
        "SLACK_WEBHOOK_URL": os.environ.get("SLACK_WEBHOOK_URL") or f"{sandbox.url}/slack/webhook",
    }
    started = []
    if importlib.util.find_spec("services.pipeline.worker") is not None:
        worker, coordinator = free_port(), port_by_name["COORDINATOR_PORT"]
        sandbox.state.cloud_run.backends["prediction-worker"] = f"http://127.0.0.1:{worker}"
        sandbox.state.cloud_run.backends["prediction-coordinator"] = f"http://127.0.0.1:{coordinator}"
        for name, module, port in (("worker", "worker", worker), ("coordinator", "coordinator", coordinator)):
            started.append(
                start_child(
                    name, [f"services.pipeline.{module}"], {**env, "PORT": str(port)}, f"http://127.0.0.1:{port}/health"
                )
            )
    port = port_by_name["DASHBOARD_PORT"]
    env |= {"DASHBOARD_PORT": str(port)}
    started.append(start_child("dashboard", ["app.server"], env, f"http://127.0.0.1:{port}/_stcore/health"))
    watchdog_command = ["services.alerts.watchdog", "--every", "60"]
    return [*started, start_child("watchdog", watchdog_command, env, f"{sandbox.url}/sandbox/health")]


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
    """Start everything, wait for a signal or for a child to end, then stop everything."""
    load_scenario = get_scenario_loader(os.environ.get("SCENARIO") or "december")
    port_by_name = read_ports(os.environ)
    shutdown = threading.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: shutdown.set())
    started_at = time.monotonic()
    sandbox = start_sandbox(port=port_by_name["SANDBOX_PORT"])
    running: list[Child] = []
    try:
        load_scenario(sandbox)
        running = start_children(sandbox, port_by_name)
        for child in running:
            wait_until_up(child)
        print(f"\n  Dashboard    http://127.0.0.1:{port_by_name['DASHBOARD_PORT']}")
        if len(running) > 1:
            print(f"  Coordinator  http://127.0.0.1:{port_by_name['COORDINATOR_PORT']}")
        print(f"  Sandbox      {sandbox.url}   (BigQuery, Cloud Run, Logging, Scheduler)")
        print(f"  Slack        {sandbox.url}/slack/messages")
        print(
            f"\n  It is 30 December 2025, 01:45 ET. Up in {time.monotonic() - started_at:.1f} s. Ctrl-C ends everything.\n",
            flush=True,
        )
        while not shutdown.wait(1):
            for child in running:
                if child.process.poll() is not None:
                    print(f"The {child.name} ended with code {child.process.returncode}.", flush=True)
                    shutdown.set()
    finally:
        stop_children(running)
        sandbox.stop()


if __name__ == "__main__":
    main()
