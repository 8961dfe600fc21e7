"""Free ports, and waiting for a server that a test has started."""

from __future__ import annotations

import socket
import subprocess
import time

import requests

STARTUP_TIMEOUT_S = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for_server(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + STARTUP_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if requests.get(address, timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.2)
    raise RuntimeError(f"The dashboard did not start within {STARTUP_TIMEOUT_S} s (exit code {process.poll()}).")
