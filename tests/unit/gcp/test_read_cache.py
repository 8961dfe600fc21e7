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


def test_table_contents_outlive_an_action_and_are_evicted_with_their_table():
    cache = ReadCache(FakeMonotonic())
    cache.tables.put("kept", "contents", 1.0)
    cache.tables.put("dropped", "contents", 1.0)
    cache.invalidate()
    cache.tables.retain_only({"kept"})
    assert cache.tables.get("kept") == ("contents", 1.0)
    assert cache.tables.get("dropped") == (None, float("-inf"))
    assert cache.without_answers().tables.table_names() == {"kept"}
