"""The watchdog's last check is searched for in the last ten minutes, once a minute for all who look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from services.alerts.heartbeat import HEARTBEAT_FILTER, Heartbeat, read_last_heartbeat
from services.alerts.watchdog import CycleResult, summary_line
from services.telemetry import log_reader

MINUTE = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)


def test_the_newest_check_is_read_of_this_minute_and_ten_before(monkeypatch):
    calls: list[tuple[Any, ...]] = []
    times = [MINUTE - timedelta(minutes=2), MINUTE - timedelta(minutes=1)]

    def read_lines(*args: Any, **options: Any) -> Any:
        calls.append((*args, options))
        return SimpleNamespace(lines=[SimpleNamespace(at=at, message="Watchdog looked: 0 incidents") for at in times])

    monkeypatch.setattr(log_reader, "read_lines", read_lines)
    clients: Any = SimpleNamespace(now=lambda: MINUTE + timedelta(seconds=7, microseconds=5))
    assert read_last_heartbeat(clients) == Heartbeat(times[1], "")
    options = {"limit": 1, "resource_filter": log_reader.SERVICE_OR_JOB_FILTER, "newest_first": True}
    end = MINUTE + timedelta(seconds=65)
    assert calls == [(clients, HEARTBEAT_FILTER, MINUTE - timedelta(minutes=10), end, options)]
    times.clear()
    assert read_last_heartbeat(clients) is None


def test_the_line_of_a_check_tells_by_which_thresholds_it_judged(monkeypatch):
    message = summary_line(CycleResult(MINUTE, "1a2b3c4d", (), (), (), None))
    line = SimpleNamespace(at=MINUTE, message=f"2025-12-29 20:00:00 - watchdog - INFO - {message}")
    monkeypatch.setattr(log_reader, "read_lines", lambda *_, **__: SimpleNamespace(lines=[line]))
    clients: Any = SimpleNamespace(now=lambda: MINUTE)
    assert read_last_heartbeat(clients) == Heartbeat(MINUTE, "1a2b3c4d")
