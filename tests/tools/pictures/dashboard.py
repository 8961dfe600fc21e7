"""The sandbox and dashboard as `make run` starts them, on ports of their own, and a page that is idle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from services.alerts.heartbeat import read_last_heartbeat
from services.core.settings import Settings
from services.gcp.clients import connect
from tests.support.paths import ROOT
from tests.support.processes import free_port

STARTUP_TIMEOUT_S = 120


@contextmanager
def run_dashboard() -> Iterator[str]:
    """The address of the dashboard, once the watchdog has run its first check."""
    ports = {name: str(free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}
    env = {**os.environ, **ports}
    log_path = ROOT / "artifacts" / "pictures.log"
    log_path.parent.mkdir(exist_ok=True)
    with log_path.open("w") as log:
        command = [sys.executable, "-m", "services.sandbox"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
        _wait_for(lambda: requests.get(f"{address}/_stcore/health", timeout=2).ok, process)
        clients = connect(Settings.from_env({"SANDBOX_URL": f"http://127.0.0.1:{ports['SANDBOX_PORT']}"}))
        _wait_for(lambda: read_last_heartbeat(clients) is not None, process, every_s=2.0)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_for(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], every_s: float = 0.3) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"The sandbox ended with code {process.returncode}; see artifacts/pictures.log.")
        try:
            if is_ready():
                return
        except requests.RequestException:
            pass
        time.sleep(every_s)
    sys.exit(f"The dashboard did not answer within {STARTUP_TIMEOUT_S} s.")
