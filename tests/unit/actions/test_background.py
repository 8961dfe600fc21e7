"""Actions in the background: a process can wait for those that run, and for no longer than it may."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

from services.actions.background import BackgroundRunner
from services.actions.plan import Plan

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


def make_plan(target: str) -> Plan:
    return Plan("test.effect", target, f"Act on {target}", {}, {}, (), (), NOW, "no")


def test_waiting_ends_with_the_actions_or_with_the_time_and_names_those_that_still_run():
    runner, release = BackgroundRunner(), threading.Event()
    quick: Any = threading.Event().is_set
    slow: Any = release.wait
    runner.submit(make_plan("quick"), "operator", NOW, quick)
    handle = runner.submit(make_plan("slow"), "operator", NOW, slow)
    assert [handle.title for handle in runner.wait(0.05)] == ["Act on slow"]
    release.set()
    assert runner.wait(5) == ()
    assert handle.ended
