"""The logs' rows in memory, for the tests of what is recorded."""

from __future__ import annotations

import pytest

from tests.support.clock import FixedClock
from tests.support.memory_records import MemoryRecords


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> MemoryRecords:
    """What the action log and the alerts hold; the clock stands at the test module's NOW."""
    memory = MemoryRecords(FixedClock(request.module.NOW))
    memory.install(monkeypatch)
    return memory
