"""What the read cache keeps and what it evicts."""

from __future__ import annotations

from services.gcp.read_cache import ReadCache
from tests.support.fake_monotonic import FakeMonotonic


def test_the_least_recently_used_entry_is_evicted():
    cache = ReadCache(FakeMonotonic())
    for night in range(5):
        cache.cached_rows((night,), (), lambda: "rows", lambda _: 60_000)
    assert cache.cached_rows((4,), (), lambda: "anew", lambda _: 1) == ("rows", True)
    assert cache.cached_rows((0,), (), lambda: "anew", lambda _: 1) == ("anew", False)
