"""How the real Chromium is started, and when a page is idle."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


PAGE_TIMEOUT_MS = 60_000
IDLE_S = 0.5
_BUSY_SELECTOR = "[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true], .stSpinner"
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


def wait_until_idle(page: Any) -> None:
    """Wait until nothing runs, nothing is stale, and for half a second nothing on the page has changed."""
    page.get_by_test_id("stMain").locator("h2, h3").first.wait_for(timeout=PAGE_TIMEOUT_MS)
    deadline, last_state, idle_since = time.monotonic() + PAGE_TIMEOUT_MS / 1000, "", time.monotonic()
    while time.monotonic() < deadline:
        busy = page.locator(_BUSY_SELECTOR).count()
        page_state = page.evaluate("document.body.innerText.length + ' ' + document.querySelectorAll('*').length")
        if busy or page_state != last_state:
            last_state, idle_since = page_state, time.monotonic()
        elif time.monotonic() - idle_since > IDLE_S:
            return
        page.wait_for_timeout(100)
