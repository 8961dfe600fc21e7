"""The dashboard as a process of its own, and a real Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chromium import CHROMIUM, CHROMIUM_ARGS
from tests.support.discovery_recorder import DiscoveryRecorder
from tests.support.paths import ROOT
from tests.support.processes import free_port, wait_for_server
from tests.support.sandbox import dashboard_env

EXPECT_TIMEOUT_MS = 30_000  # a page takes longer than Playwright's five seconds on a slow machine


@pytest.fixture(scope="session", autouse=True)
def recorded_sandboxes(discovery_recorder: DiscoveryRecorder) -> None:
    """Every sandbox that is started from here on is recorded."""


@pytest.fixture(autouse=True)
def conforming_calls(conforms_to_discovery_documents: None) -> None:
    """Every test here fails when a call or its answer is not as Google's discovery documents have it."""


@pytest.fixture(scope="session")
def dashboard_url(shared_sandbox: Any) -> Iterator[str]:
    """The address of a dashboard started as the Makefile starts it, against the session's sandbox."""
    port = free_port()
    env = {**os.environ, **dashboard_env(shared_sandbox), "DASHBOARD_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "app.server"], cwd=ROOT, env=env)
    try:
        wait_for_server(f"http://127.0.0.1:{port}/_stcore/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium per test module; a machine without one fails, unless its environment allows that.

    Per module, since Playwright holds the event loop of its thread until it ends, and a later `asyncio.run` would fail.
    """
    if not CHROMIUM.exists():
        if os.environ.get("ALLOW_NO_BROWSER") == "1":
            pytest.skip(f"There is no {CHROMIUM} and ALLOW_NO_BROWSER=1.")
        pytest.fail(f"There is no {CHROMIUM}: install Debian's chromium (make chromium), or set CHROMIUM.")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=EXPECT_TIMEOUT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def screenshots_dir() -> Path:
    """Where screenshots go: for people to view, ignored by git."""
    folder = ROOT / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder
