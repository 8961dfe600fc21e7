"""Free ports, and waiting for a server that a test has started."""

from __future__ import annotations

import subprocess
import time

import requests

from services.sandbox.common.ports import free_port

__all__ = ["free_port", "wait_for_server"]

STARTUP_TIMEOUT_S = 60


def wait_for_server(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(address, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError(f"The dashboard did not start within {STARTUP_TIMEOUT_S} s (exit code {process.poll()}).")
