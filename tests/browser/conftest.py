"""The dashboard as a process of its own, and a real Chromium before it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from services.actions.log_reader import Action

ROOT = Path(__file__).parents[2]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTUP_TIMEOUT_S = 60


@pytest.fixture(scope="session")
def dashboard_url(shared_sandbox: Any) -> Iterator[str]:
    """The address of a dashboard started as the Makefile starts it, against the session's sandbox."""
    port = free_port()
    env = {**os.environ, "SANDBOX_URL": shared_sandbox.url, "DASHBOARD_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "app.server"], cwd=ROOT, env=env)
    try:
        wait_for_server(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for the session; a machine without one fails, unless it says that this is meant."""
    if not CHROMIUM.exists():
        if os.environ.get("ALLOW_NO_BROWSER") == "1":
            pytest.skip(f"There is no {CHROMIUM} and ALLOW_NO_BROWSER=1.")
        pytest.fail(f"There is no {CHROMIUM}: install Debian's chromium (make chromium), or set CHROMIUM.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots_dir() -> Path:
    """Where screenshots go: looked at by people, ignored by git."""
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder


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


def wait_for_outcomes(read_actions: Callable[[], list[Action]], count: int = 1) -> list[Action]:
    """What `told` gives once `count` of its actions have an outcome, which is recorded a moment after its rows can be seen."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        actions = read_actions()
        if sum(action.ended_at is not None for action in actions) >= count:
            return actions
        time.sleep(0.3)
    raise AssertionError(f"no {count} outcomes: {read_actions()}")
