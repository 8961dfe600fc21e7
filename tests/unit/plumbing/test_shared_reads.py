"""The panels of System health and its checks ask at the same time for the same: Google is asked once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from services.gcp.read_cache import ReadCache
from services.plumbing import service_state, subscriptions
from services.telemetry import scheduler


@pytest.mark.parametrize(
    ("module", "reader", "asks"),
    [
        (scheduler, "read_schedule", "_list_jobs"),
        (service_state, "read_service_report", "_read_report"),
        (subscriptions, "read_subscription_report", "_read_report"),
    ],
)
def test_readers_at_the_same_time_share_one_read(monkeypatch, module, reader, asks):
    clients, started, reads = SimpleNamespace(cache=ReadCache()), threading.Barrier(2), []

    def ask(_: Any) -> str:
        reads.append(1)
        time.sleep(0.1)
        return "report"

    def read() -> Any:
        started.wait()
        return getattr(module, reader)(clients)

    monkeypatch.setattr(module, asks, ask)
    with ThreadPoolExecutor(2) as pool:
        found = [future.result() for future in [pool.submit(read) for _ in range(2)]]
    assert (found, len(reads)) == (["report", "report"], 1)
