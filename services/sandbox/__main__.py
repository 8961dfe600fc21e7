"""`make run`: the night of 29 December on this machine — sandbox, workers, coordinator, dashboard and watchdog, ended by Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from services.sandbox.scenarios.season import named
from services.sandbox.server import Sandbox, start_sandbox

PORTS = {"DASHBOARD_PORT": 8501, "SANDBOX_PORT": 9050, "COORDINATOR_PORT": 8090}


@dataclass(frozen=True)
class Child:
    """One process that was started here; `address` answers when it is up."""

    name: str
    process: subprocess.Popen[bytes]
    address: str


def ports(env: Mapping[str, str]) -> dict[str, int]:
    """The three ports; exits with one sentence when one is no port or is taken."""
    found = {}
    for name, default in PORTS.items():
        told = env.get(name) or str(default)
        if not told.isdigit() or not 0 < int(told) < 65536:
            sys.exit(f"{name}={told!r} is not a port: give a number from 1 to 65535.")
        if _taken(int(told)):
            sys.exit(f"Port {told} is in use: end what runs there, or set {name} to another port.")
        found[name] = int(told)
    return found


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(name: str, command: list[str], env: Mapping[str, str], address: str) -> Child:
    """Start a child in its own process group, so that Ctrl-C reaches it through us only."""
    process = subprocess.Popen([sys.executable, "-m", *command], env={**os.environ, **env}, start_new_session=True)  # noqa: S603
    return Child(name, process, address)


def children(sandbox: Sandbox, chosen: Mapping[str, int]) -> list[Child]:
    """Worker, coordinator, dashboard and watchdog, told where the sandbox is."""
    env = {
        "SANDBOX_URL": sandbox.address,
        "COORDINATOR_URL": f"http://127.0.0.1:{chosen['COORDINATOR_PORT']}",
        "DASHBOARD_URL": f"http://127.0.0.1:{chosen['DASHBOARD_PORT']}",
        "SLACK_WEBHOOK_URL": os.environ.get("SLACK_WEBHOOK_URL") or f"{sandbox.address}/slack/webhook",
    }
    started = []
    if importlib.util.find_spec("services.pipeline.worker") is not None:
        worker, coordinator = free_port(), chosen["COORDINATOR_PORT"]
        sandbox.world.run.backends["prediction-worker"] = f"http://127.0.0.1:{worker}"
        sandbox.world.run.backends["prediction-coordinator"] = f"http://127.0.0.1:{coordinator}"
        for name, module, port in (("worker", "worker", worker), ("coordinator", "coordinator", coordinator)):
            started.append(
                start(
                    name, [f"services.pipeline.{module}"], {**env, "PORT": str(port)}, f"http://127.0.0.1:{port}/health"
                )
            )
    port = chosen["DASHBOARD_PORT"]
    env |= {"DASHBOARD_PORT": str(port)}
    started.append(start("dashboard", ["app.server"], env, f"http://127.0.0.1:{port}/_stcore/health"))
    watching = ["services.alerts.watchdog", "--every", "60"]
    return [*started, start("watchdog", watching, env, f"{sandbox.address}/sandbox/health")]


def wait_for(child: Child, seconds: float = 60) -> None:
    """Until the child answers; exits with a sentence when it dies or stays silent."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if child.process.poll() is not None:
            sys.exit(f"The {child.name} ended with code {child.process.returncode}; its last lines are above.")
        try:
            if requests.get(child.address, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.1)
    sys.exit(f"The {child.name} did not answer at {child.address} within {seconds:g} s.")


def stop(running: list[Child]) -> None:
    """End every child and what it started."""
    for child in running:
        if child.process.poll() is None:
            os.killpg(child.process.pid, signal.SIGTERM)
    for child in running:
        try:
            child.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(child.process.pid, signal.SIGKILL)


def main() -> None:
    chosen = ports(os.environ)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    plant = named(os.environ.get("SCENARIO") or "december")
    began = time.monotonic()
    sandbox = start_sandbox(port=chosen["SANDBOX_PORT"])
    plant(sandbox)
    running: list[Child] = []
    try:
        running = children(sandbox, chosen)
        for child in running:
            wait_for(child)
        print(f"\n  Dashboard    http://127.0.0.1:{chosen['DASHBOARD_PORT']}")
        if len(running) > 1:
            print(f"  Coordinator  http://127.0.0.1:{chosen['COORDINATOR_PORT']}")
        print(f"  Sandbox      {sandbox.address}   (BigQuery, Cloud Run, Logging, Scheduler)")
        print(f"  Slack        {sandbox.address}/slack/messages")
        print(
            f"\n  It is 30 December 2025, 01:45 ET. Up in {time.monotonic() - began:.1f} s. Ctrl-C ends everything.\n",
            flush=True,
        )
        while not ended.wait(1):
            for child in running:
                if child.process.poll() is not None:
                    print(f"The {child.name} ended with code {child.process.returncode}.", flush=True)
                    ended.set()
    finally:
        stop(running)
        sandbox.stop()


if __name__ == "__main__":
    main()
