"""The desk as `make run` starts it, on ports of its own, and a page that has come to rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

from services.alerts.heartbeat import read_last_look
from services.core.settings import Settings
from services.gcp.clients import connect
from tests.browser.conftest import ROOT, _free_port

STARTS_WITHIN_S = 120
PATIENCE_MS = 60_000
STILL_S = 0.5
_BUSY = "[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true], .stSpinner"


@contextmanager
def desk() -> Iterator[str]:
    """The address of the dashboard, once the watchdog has looked at the night for the first time."""
    ports = {name: str(_free_port()) for name in ("DASHBOARD_PORT", "SANDBOX_PORT", "COORDINATOR_PORT")}
    env = {**os.environ, **ports}
    said = ROOT / "artifacts" / "pictures.log"
    said.parent.mkdir(exist_ok=True)
    with said.open("w") as log:
        command = [sys.executable, "-m", "services.sandbox"]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{ports['DASHBOARD_PORT']}"
        _wait_for(lambda: requests.get(f"{address}/_stcore/health", timeout=2).ok, process)
        cloud = connect(Settings.from_env({"SANDBOX_URL": f"http://127.0.0.1:{ports['SANDBOX_PORT']}"}))
        _wait_for(lambda: read_last_look(cloud) is not None, process, every_s=2.0)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_for(answers: Callable[[], bool], process: subprocess.Popen[bytes], every_s: float = 0.3) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            sys.exit(f"The sandbox ended with code {process.returncode}; see artifacts/pictures.log.")
        try:
            if answers():
                return
        except requests.RequestException:
            pass
        time.sleep(every_s)
    sys.exit(f"The desk did not answer within {STARTS_WITHIN_S} s.")


def at_rest(page: Any) -> None:
    """Wait until nothing runs, nothing is stale, and for half a second nothing on the page has changed."""
    page.get_by_test_id("stMain").locator("h2, h3").first.wait_for(timeout=PATIENCE_MS)
    until, last, since = time.monotonic() + PATIENCE_MS / 1000, "", time.monotonic()
    while time.monotonic() < until:
        busy = page.locator(_BUSY).count()
        drawn = page.evaluate("document.body.innerText.length + ' ' + document.querySelectorAll('*').length")
        if busy or drawn != last:
            last, since = drawn, time.monotonic()
        elif time.monotonic() - since > STILL_S:
            return
        page.wait_for_timeout(100)
