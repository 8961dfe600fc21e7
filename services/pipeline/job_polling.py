"""Waits for the end of a BigQuery job by asking at a fixed interval: the client's own wait begins with a second and grows."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_JOB_WAIT_S, JOB_POLL_INTERVAL_S = 600, 0.25


def wait_until(is_done: Callable[[], bool]) -> bool:
    """Whether `is_done` was so within MAX_JOB_WAIT_S."""
    deadline = time.monotonic() + MAX_JOB_WAIT_S
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(JOB_POLL_INTERVAL_S)
    return True
