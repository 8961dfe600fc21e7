"""How many calls one after the other a page waits for: at 200 ms a call, that is its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from app.state import background_cache, reads
from services.gcp.clients import Clients
from services.gcp.read_cache import ReadCache
from tests.support.call_rounds import count_rounds

FIRST_NIGHT, OTHER_NIGHT = date(2025, 12, 26), date(2025, 12, 27)


@pytest.fixture
def viewer(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clients]:
    """Clients with a cache, as the dashboard has them, in which no reading ends early."""
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 60.0)
    background_cache.clear()
    yield replace(clients, cache=ReadCache(since=clients.now()))
    background_cache.clear()


def test_another_night_takes_at_most_four_calls_one_after_the_other(
    viewer: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads.read_overview(viewer, FIRST_NIGHT)
    viewer.cache.expire_table_versions()
    with count_rounds(monkeypatch) as rounds:
        facts, platform = reads.read_overview(viewer, OTHER_NIGHT)
    assert not any(reading.problem for reading in (facts.night, facts.writes, facts.usual, platform.staging))
    assert len(rounds) <= 4, rounds
