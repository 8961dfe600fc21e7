"""What the benchmarks of the pages stand on: servers as processes of their own, and one Chromium before them.

`python -m tests.benchmarks.standing PORT PLANTED` is the sandbox alone, without the watchdog, whose questions would be
counted too; it touches the file PLANTED once its nights are in.
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

from services.sandbox.__main__ import Child, free_port, stop, wait_for

ROOT = Path(__file__).parents[2]
BESIDE = Path(__file__).parent / "beside"
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
QUIET = ("--disable-background-networking", "--disable-component-update")


@contextmanager
def child(name: str, command: list[str], env: Mapping[str, str], address: str, folder: Path = ROOT) -> Iterator[Child]:
    """A process that answers at `address`; what it says is shown only when it ends too early."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, **env},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        one = Child(name, process, address)
        try:
            wait_for(one, 180)
            yield one
        finally:
            if process.poll() is not None:
                said.seek(0)
                print(said.read().decode(errors="replace")[-4000:], file=sys.stderr)
            stop([one])


@contextmanager
def run(**env: str) -> Iterator[str]:
    """Everything that `make run` starts, on free ports; the dashboard's address."""
    ports = {name: str(free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}
    address = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
    with child("desk", ["services.sandbox"], {**ports, **env}, f"{address}/_stcore/health"):
        yield address


@contextmanager
def sandbox(**env: str) -> Iterator[str]:
    """The sandbox alone, with its nights in it; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        # It answers before its nights are in; what was read then would seem to have changed afterwards.
        planted = Path(folder, "planted")
        command = ["tests.benchmarks.standing", str(port), str(planted)]
        with child("sandbox", command, env, f"{address}/sandbox/health") as one:
            while not planted.exists():
                if one.process.poll() is not None:
                    sys.exit("The sandbox ended before its nights were in; its last lines are above.")
                time.sleep(0.1)
            yield address


@contextmanager
def dashboard(sandbox_url: str, *command: str) -> Iterator[tuple[str, int]]:
    """The dashboard alone, as production starts it or by another command; its address and process id."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    told = {"SANDBOX_URL": sandbox_url, "DASHBOARD_PORT": str(port)}
    with child("dashboard", list(command) or ["app.server"], told, f"{address}/_stcore/health") as one:
        yield address, one.process.pid


@contextmanager
def streamlit(script: str) -> Iterator[str]:
    """A script as `streamlit run` serves it with its defaults, from a folder without our configuration; its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    flags = ["--server.headless", "true", "--server.port", str(port), "--browser.gatherUsageStats", "false"]
    command = ["streamlit", "run", str(BESIDE / script), *flags]
    with child(script, command, {}, f"{address}/_stcore/health", folder=BESIDE):
        yield address


@contextmanager
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *QUIET])
        yield browser
        browser.close()


def main() -> None:
    from services.sandbox.scenarios.season import named
    from services.sandbox.server import start_sandbox

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    started = start_sandbox(port=int(sys.argv[1]))
    named(os.environ.get("SCENARIO") or "december")(started)
    Path(sys.argv[2]).touch()
    ended.wait()
    started.stop()


if __name__ == "__main__":
    main()
