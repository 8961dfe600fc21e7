"""What the read cache keeps and what it evicts."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.cloud import bigquery

from services.core.freshness import STREAMED_TTL_S, UNTRACKED_TTL_S
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


def make_table(**changes: object) -> bigquery.Table:
    """A table's metadata as tables.get returns them."""
    reference = {"projectId": "p", "datasetId": "d", "tableId": "t"}
    unchanged = {"type": "TABLE", "creationTime": "1", "lastModifiedTime": "2", "numRows": "3"}
    return bigquery.Table.from_api_repr({"tableReference": reference, **unchanged, **changes})


class Reader:
    """Reads one table through a cache; its rows are the number of reads."""

    def __init__(self, table_name: str = "d.t") -> None:
        self.clock, self.reads, self.table_name = FakeMonotonic(), 0, table_name
        self.cache = ReadCache(self.clock)

    def read(self, table: bigquery.Table, after_s: float = 0.0) -> int:
        """The rows that a reader gets when the table's metadata is `table`."""
        self.clock.seconds += after_s
        version = self.cache.table_version(self.table_name, lambda _: table, max_age_s=-1)
        return self.cache.cached_rows("rows", (version,), self._fetch, lambda _: 1)[0]

    def _fetch(self) -> int:
        self.reads += 1
        return self.reads


LATER_S = UNTRACKED_TTL_S + 1
STREAMING = {"streamingBuffer": {"estimatedRows": "1", "oldestEntryTime": "1"}}


def test_rows_of_an_unchanged_table_are_kept():
    reader = Reader()
    assert [reader.read(make_table(), 30 * 86_400) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    "change",
    [{"creationTime": "9"}, {"type": "VIEW"}, {"lastModifiedTime": "9"}, {"numRows": "9"}, STREAMING],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_or_replaced_table_is_read_again(change):
    reader = Reader()
    assert [reader.read(make_table()), reader.read(make_table(**change))] == [1, 2]


@pytest.mark.parametrize(
    "metadata",
    [STREAMING, {"type": "VIEW"}, {"type": "MATERIALIZED_VIEW"}, {"type": "EXTERNAL"}],
    ids=lambda change: next(iter(change.values())) if "type" in change else "streaming",
)
def test_what_does_not_report_its_changes_is_kept_for_seconds(metadata):
    reader = Reader()
    table = make_table(**metadata)
    assert [reader.read(table), reader.read(table), reader.read(table, LATER_S)] == [1, 1, 2]


def test_a_table_once_seen_with_a_streaming_buffer_is_never_kept_for_long_again():
    """Its figures may follow minutes after the buffer is gone, and the next buffer shows seconds after its first row."""
    reader = Reader()
    reader.read(make_table(**STREAMING))
    after_buffer = reader.read(make_table())
    assert reader.read(make_table(), LATER_S) == after_buffer
    assert reader.read(make_table(), STREAMED_TTL_S) == after_buffer + 1


def test_a_table_known_to_be_streamed_into_is_kept_for_minutes_without_any_buffer_in_its_metadata():
    reader = Reader("nba_predictions.prediction_worker_runs")
    assert [reader.read(make_table()), reader.read(make_table(), STREAMED_TTL_S + 1)] == [1, 2]


def test_a_failed_read_leaves_nothing_behind():
    reader = Reader()

    def fail(_: str) -> bigquery.Table:
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        reader.cache.table_version("d.t", fail)
    assert reader.cache._flights == {}


def test_concurrent_readers_of_one_key_read_once():
    reader = Reader()
    started = threading.Barrier(9)

    def slow_fetch() -> int:
        time.sleep(0.05)
        return reader._fetch()

    def read() -> int:
        started.wait()
        return reader.cache.cached_rows("rows", (), slow_fetch, lambda _: 1)[0]

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        started.wait()
    assert {future.result() for future in readers} == {1}
    assert reader.cache._flights == {}
