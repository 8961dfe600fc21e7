"""Servers and a Chromium for the page benchmarks, each as a process of its own.

`python -m tests.tools.benchmarks.harness PORT SEEDED` is the sandbox alone, without the watchdog, whose queries would be
counted too; it touches the file SEEDED once its nights are loaded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from services.sandbox.__main__ import Child, stop_children, wait_until_up
from services.sandbox.common.ports import free_port
from tests.support.paths import ROOT

DELAYED_APIS = ("bigquery", "run", "logging", "scheduler")
BASELINE_APPS = Path(__file__).parent / "baseline_apps"
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET_ARGS = ("--disable-background-networking", "--disable-component-update")


@contextmanager
def start_process(
    name: str,
    command: list[str],
    env: Mapping[str, str],
    address: str,
    folder: Path = ROOT,
    python: str = sys.executable,
) -> Iterator[Child]:
    """A module of `python` that answers at `address`; its output is shown only when it ends too early.

    From here on SIGTERM ends the benchmark as Ctrl-C does, so that what it started ends with it.
    """
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [python, "-m", *command],
            cwd=folder,
            env={**os.environ, **env},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        child_process = Child(name, process, address)
        try:
            wait_until_up(child_process, 180)
            yield child_process
        finally:
            if process.poll() is not None:
                output.seek(0)
                print(output.read().decode(errors="replace")[-4000:], file=sys.stderr)
            stop_children([child_process])


@contextmanager
def start_stack(latency_ms: int = 0, **env: str) -> Iterator[str]:
    """Everything that `make run` starts, on free ports, each call of an API delayed by `latency_ms`; the dashboard's address."""
    ports = {name: str(free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}
    address = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
    with start_process("stack", ["services.sandbox"], {**ports, **env}, f"{address}/_stcore/health"):
        delays = [{"api": api, "kind": "delay", "seconds": latency_ms / 1000} for api in DELAYED_APIS]
        sandbox_url = f"http://127.0.0.1:{ports['SANDBOX_PORT']}"
        requests.put(f"{sandbox_url}/sandbox/faults", json=delays, timeout=10).raise_for_status()
        yield address


@contextmanager
def start_sandbox_process(**env: str) -> Iterator[str]:
    """The sandbox alone, with its nights in it; its address."""
    with start_sandbox_with_pid(**env) as (address, _):
        yield address


@contextmanager
def start_sandbox_with_pid(**env: str) -> Iterator[tuple[str, int]]:
    """The sandbox alone, with its nights in it; its address and process id."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        # It answers before its nights are in; what was read then would seem to have changed afterwards.
        loaded_marker = Path(folder, "seeded")
        command = ["tests.tools.benchmarks.harness", str(port), str(loaded_marker)]
        with start_process("sandbox", command, env, f"{address}/sandbox/health") as process:
            while not loaded_marker.exists():
                if process.process.poll() is not None:
                    sys.exit("The sandbox ended before its nights were in; its last lines are above.")
                time.sleep(0.1)
            yield address, process.process.pid


@contextmanager
def start_dashboard(sandbox_url: str, *command: str) -> Iterator[tuple[str, int]]:
    """The dashboard alone, as production starts it or by another command; its address and process id."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    env = {"SANDBOX_URL": sandbox_url, "DASHBOARD_PORT": str(port)}
    with start_process("dashboard", list(command) or ["app.server"], env, f"{address}/_stcore/health") as process:
        yield address, process.process.pid


@contextmanager
def start_streamlit(script: str, *, compressed: bool = False) -> Iterator[str]:
    """A script as `streamlit run` serves it with its defaults, from a folder without our configuration; its address.

    `compressed`: the same behind our compression of Streamlit's scripts.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    flags = ["--server.headless", "true", "--server.port", str(port), "--browser.gatherUsageStats", "false"]
    command = ["streamlit", "run", str(BASELINE_APPS / script), *flags]
    if compressed:
        command = ["tests.tools.benchmarks.baseline_apps.compressed", script, str(port)]
    env = {"PYTHONPATH": str(ROOT)}
    with start_process(script, command, env, f"{address}/_stcore/health", folder=BASELINE_APPS):
        yield address


@contextmanager
def launch_chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_ARGS, *QUIET_ARGS])
        yield browser
        browser.close()


def main() -> None:
    from services.core.clock import OffsetClock
    from services.sandbox.scenarios.catalog import get_scenario
    from services.sandbox.server import start_sandbox

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    scenario = get_scenario(os.environ.get("SCENARIO") or "december")
    server = start_sandbox(port=int(sys.argv[1]), clock=OffsetClock.starting_at(scenario.starts_at))
    scenario.load(server)
    Path(sys.argv[2]).touch()
    stopped.wait()
    server.stop()


if __name__ == "__main__":
    main()
