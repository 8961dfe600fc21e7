"""What the read cache keeps and what it evicts."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from google.cloud import bigquery

from services.core.errors import SourceUnavailable
from services.core.freshness import STREAMED_TTL_S, UNTRACKED_TTL_S
from services.core.sources import LOG
from services.gcp import read_cache
from services.gcp.read_cache import (
    LOG_QUOTA_WINDOW_S,
    MAX_CACHED_ENTRIES,
    MAX_CACHED_ROWS,
    MAX_LOG_READS_PER_MIN,
    MAX_LOG_REFRESHES_PER_MIN,
    MAX_TAIL_READS_PER_MIN,
    ReadCache,
    make_version,
)
from tests.support.fake_monotonic import FakeMonotonic


def test_the_least_recently_used_entry_is_evicted():
    cache = ReadCache(FakeMonotonic())
    for night in range(5):
        cache.cached_rows((night,), (), lambda: "rows", lambda _: 60_000)
    assert cache.cached_rows((4,), (), lambda: "anew", lambda _: 1) == ("rows", True)
    assert cache.cached_rows((0,), (), lambda: "anew", lambda _: 1) == ("anew", False)


def test_a_flood_of_questions_leaves_a_bounded_cache_and_no_lock_of_a_failed_one():
    """Answers without rows, log searches without lines, and questions that fail: none of them may grow with their number."""
    monotonic = FakeMonotonic()
    cache = ReadCache(monotonic)

    def fail() -> str:
        raise SourceUnavailable("down")

    for number in range(3 * MAX_CACHED_ENTRIES):
        cache.cached_rows(("empty", number), (), lambda: "no rows", lambda _: 0)
        monotonic.seconds += LOG_QUOTA_WINDOW_S
        cache.cached_log_lines(("log", number), 60.0, lambda: "no lines", lambda _: 0)
        with pytest.raises(SourceUnavailable):
            cache.cached_rows(("failed", number), (), fail, lambda _: 0)
    assert (len(cache._entries), cache._row_count) == (MAX_CACHED_ENTRIES, 0)
    assert (cache._in_flight, cache._versions) == ({}, {})
    assert len(cache.usage.log_read_times) == 1
    assert cache.cached_rows(("empty", number), (), fail, lambda _: 0) == ("no rows", True), "the newest are kept"


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


@pytest.mark.parametrize("change", [{"estimatedRows": "2"}, {"oldestEntryTime": "2"}])
def test_a_table_whose_buffer_changed_is_read_again(change):
    reader = Reader()
    changed = {"streamingBuffer": {**STREAMING["streamingBuffer"], **change}}
    assert [reader.read(make_table(**STREAMING)), reader.read(make_table(**changed))] == [1, 2]


def test_another_table_of_the_same_figures_is_another_one():
    other = make_table(tableReference={"projectId": "p", "datasetId": "d", "tableId": "other"})
    reader = Reader()
    assert [reader.read(make_table()), reader.read(other)] == [1, 2]


@pytest.mark.parametrize(
    ("metadata", "reports"),
    [({}, True), ({"type": "SNAPSHOT"}, True), ({"type": None}, True), ({"type": "VIEW"}, False), (STREAMING, False)],
)
def test_only_what_is_stored_and_not_streamed_reports_its_changes(metadata, reports):
    assert make_version(make_table(**metadata)).reports_changes is reports


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
    assert reader.cache._in_flight == {}


def test_concurrent_readers_of_one_key_read_once():
    reader = Reader()
    started = threading.Barrier(9)

    def slow_fetch() -> int:
        time.sleep(0.05)
        return reader._fetch()

    def read() -> int:
        started.wait()
        rows, from_cache = reader.cache.cached_rows("rows", (), slow_fetch, lambda _: 1)
        fresh.append(not from_cache)
        return rows

    fresh: list[bool] = []
    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        started.wait()
    assert {future.result() for future in readers} == {1}
    assert sum(fresh) == 1, "the others have what was read for one"
    assert reader.cache._in_flight == {}


@pytest.mark.parametrize(("reuse_answers", "reads"), [(True, 1), (False, 2)])
def test_what_is_not_kept_is_read_once_for_all_who_ask_meanwhile(reuse_answers, reads):
    """A plan reads for itself: what another reader began may be older."""
    cache, started = ReadCache(reuse_answers=reuse_answers), threading.Barrier(3)
    count: Counter[str] = Counter()

    def read_slowly() -> None:
        count["reads"] += 1
        time.sleep(0.05)

    def read() -> None:
        started.wait()
        cache.shared("tables", read_slowly)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        started.wait()
    assert [future.result() for future in readers] == [None, None]
    assert count["reads"] == reads
    cache.shared("tables", read_slowly)
    assert count["reads"] == reads + 1


def test_readers_of_a_dead_table_fail_together_after_one_timeout():
    cache, attempts, started = ReadCache(FakeMonotonic()), [], threading.Barrier(10)

    def time_out(_: object = None) -> bigquery.Table:
        attempts.append(1)
        time.sleep(0.3)
        raise TimeoutError("no answer")

    def ask(number: int) -> str:
        read = partial(cache.table_version, "d.dead", time_out)
        started.wait()
        with pytest.raises(TimeoutError) as raised:
            read() if number % 2 else cache.cached_rows("rows", (), time_out, lambda _: 1)
        return str(raised.value)

    with ThreadPoolExecutor(10) as panels:
        assert set(panels.map(ask, range(10))) == {"no answer"}
    assert len(attempts) == 2, "one per question"
    assert cache.table_version("d.dead", lambda _: make_table()).age_s == 0.0, "asked again"


def test_readers_of_a_slow_table_share_its_answer_however_old_it_is_by_then():
    clock, fetched, started = FakeMonotonic(), [], threading.Barrier(10)
    cache = ReadCache(clock)

    def fetch(name: str) -> bigquery.Table:
        fetched.append(name)
        time.sleep(0.1)
        clock.seconds += 60
        return make_table()

    def ask(_: int) -> None:
        started.wait()
        cache.table_version("d.t", fetch)

    with ThreadPoolExecutor(10) as panels:
        list(panels.map(ask, range(10)))
    assert fetched == ["d.t"]


def test_what_was_being_read_when_an_action_ended_is_not_taken_for_what_is_so_after_it():
    cache, view = ReadCache(FakeMonotonic()), make_version(make_table(type="VIEW"))

    def fetch_during_action(_: object = None) -> Any:
        cache.invalidate()
        return make_table(numRows="1")

    cache.cached_rows("rows", (view,), fetch_during_action, lambda _: 1)
    assert cache.cached_rows("rows", (view,), lambda: "after", lambda _: 1) == ("after", False)
    cache.table_version("d.t", fetch_during_action)
    assert cache.table_version("d.t", lambda _: make_table(numRows="2")).table.num_rows == 2


def test_a_reader_after_an_action_does_not_wait_for_a_read_begun_before_it():
    cache, answered = ReadCache(FakeMonotonic()), threading.Event()
    with ThreadPoolExecutor(1) as before:
        reading = threading.Event()

        def read_before() -> str:
            reading.set()
            answered.wait(30)
            return "before"

        pending = before.submit(cache.cached_rows, "rows", (), read_before, lambda _: 1)
        reading.wait(30)
        cache.invalidate()
        threading.Timer(0.5, answered.set).start()
        assert cache.cached_rows("rows", (), lambda: "after", lambda _: 1)[0] == "after"
        assert pending.result() == ("before", False)
    assert cache.cached_rows("rows", (), lambda: "again", lambda _: 1) == ("after", True)


@pytest.fixture
def eight_busy_readers():
    """Calls a function 20,000 times in eight threads that are switched as often as Python allows."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(8) as readers:
        yield lambda read: list(readers.map(lambda start: [read(n) for n in range(start, 20_000, 8)], range(8)))
    sys.setswitchinterval(interval)


def test_eight_readers_evictions_and_invalidations_disturb_no_read(monkeypatch, eight_busy_readers):
    monkeypatch.setattr(read_cache, "MAX_CACHED_ROWS", 200)
    cache = ReadCache()

    def read(number: int) -> None:
        key = number % 220
        assert cache.cached_rows(key, (), lambda: key, lambda _: 1)[0] == key
        cache.usage.record_query(1)
        if number % 41 == 0:
            cache.table_version("d.t", lambda _: make_table(), max_age_s=-1)
            cache.invalidate()

    eight_busy_readers(read)
    assert cache.usage.queries == 20_000


def test_an_entry_is_not_evicted_while_it_is_read():
    """Between the look-up of an entry and its becoming the newest one, another reader must not evict it."""
    cache, evictions = ReadCache(), ThreadPoolExecutor(1)

    class Entries(OrderedDict[Any, Any]):
        def get(self, key: Any, default: Any = None) -> Any:
            entry = super().get(key, default)
            if key == "read" and entry is not None:
                pending = evictions.submit(cache.cached_rows, "large", (), lambda: "x", lambda _: MAX_CACHED_ROWS + 1)
                wait([pending], timeout=0.2)  # with the lock it waits for this reader
            return entry

    cache.cached_rows("read", (), lambda: "rows", lambda _: 1)
    cache._entries = Entries(cache._entries)
    with evictions:
        assert cache.cached_rows("read", (), lambda: "anew", lambda _: 1) == ("rows", True)
    assert "read" not in cache._entries


def test_eight_readers_of_staging_tables_and_evictions_disturb_no_read(eight_busy_readers):
    tables, existing = ReadCache().tables, {str(number) for number in range(0, 20_000, 3)}

    def read(number: int) -> None:
        tables.put(str(number), number, 1.0)
        assert tables.get(str(number))[0] in (number, None)
        if number % 41 == 0:
            tables.retain_only(existing)
            assert tables.table_names()

    eight_busy_readers(read)


# --- the log's quota ------------------------------------------------------------------------------------------------------


def read_lines(cache: ReadCache, key: str, ttl_s: float = 30.0) -> int:
    """Log lines of a search: how many reads of the log there were within the last minute."""
    return cache.cached_log_lines(key, ttl_s, cache.log_reads_last_minute, lambda _: 1)


def test_six_searches_are_refreshed_a_minute_and_of_the_others_older_lines_are_returned_up_to_twice_their_time():
    clock, reads = FakeMonotonic(), Counter[str]()
    cache = ReadCache(clock)

    def search_all() -> list[int]:
        def read(name: str) -> int:
            reads[name] += 1
            return reads[name]

        return [cache.cached_log_lines(name, 60.0, partial(read, name), lambda _: 1) for name in "abcdefghij"]

    assert search_all() == [1] * 10
    clock.seconds += 61
    assert search_all() == search_all() == [2] * MAX_LOG_REFRESHES_PER_MIN + [1] * 4
    clock.seconds += 60
    assert search_all() == [2] * MAX_LOG_REFRESHES_PER_MIN + [2] * 4, "two minutes old: read, whatever was refreshed"


def test_lines_of_before_an_action_are_not_returned_after_it():
    cache = ReadCache(FakeMonotonic())
    for number in range(MAX_LOG_READS_PER_MIN):
        read_lines(cache, f"search {number}")
    cache.invalidate()
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(30/min\)"):
        read_lines(cache, "search 0")


def test_a_new_search_beyond_thirty_reads_is_an_error_and_no_empty_log():
    clock = FakeMonotonic()
    cache = ReadCache(clock)
    for number in range(MAX_LOG_READS_PER_MIN):
        assert read_lines(cache, f"search {number}") == number + 1
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(30/min\)") as raised:
        read_lines(cache, "one more")
    assert raised.value.hint.startswith("Read again automatically within a minute")
    clock.seconds += 60
    assert read_lines(cache, "one more") == 1


def read_tail(cache: ReadCache, key: str, ttl_s: float = 5.0, count_rows: Any = lambda _: 1) -> int:
    """Lines of a tail: how many reads of the log there were within the last minute."""
    return cache.tailed_log_lines(key, ttl_s, cache.log_reads_last_minute, count_rows)


def test_lines_of_twice_their_age_are_returned_and_older_ones_are_not():
    for after_s, expected in ((60.0, "old"), (60.001, None)):
        clock = FakeMonotonic()
        cache = ReadCache(clock)
        cache.cached_log_lines("kept", 30.0, lambda: "old", lambda _: 1)
        clock.seconds += after_s
        for _ in range(MAX_LOG_READS_PER_MIN):
            cache.record_log_read()
        if expected is None:
            with pytest.raises(SourceUnavailable):
                cache.cached_log_lines("kept", 30.0, lambda: "new", lambda _: 1)
        else:
            assert cache.cached_log_lines("kept", 30.0, lambda: "new", lambda _: 1) == expected


@pytest.mark.parametrize(("read", "ttl_s"), [(read_lines, 30), (read_tail, 5)])
def test_lines_are_kept_for_their_time_and_no_longer(read, ttl_s):
    clock = FakeMonotonic()
    cache = ReadCache(clock)
    assert read(cache, "errors") == 1
    clock.seconds += ttl_s
    assert read(cache, "errors") == 1
    clock.seconds += 0.001
    assert read(cache, "errors") == 2


def test_tails_have_their_reads_back_after_a_minute_and_searches_take_none_of_them():
    clock = FakeMonotonic()
    cache = ReadCache(clock)
    for number in range(MAX_TAIL_READS_PER_MIN):
        read_lines(cache, f"search {number}")
    for number in range(MAX_TAIL_READS_PER_MIN):
        read_tail(cache, f"tail {number}")
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(6/min\)"):
        read_tail(cache, "one more")
    assert read_lines(cache, "a search") == 2 * MAX_TAIL_READS_PER_MIN + 1, "searches go on"
    clock.seconds += 6
    assert read_tail(cache, "tail 0") == MAX_TAIL_READS_PER_MIN + 1, "what it has"
    clock.seconds += LOG_QUOTA_WINDOW_S - 6
    assert read_tail(cache, "one more") == 1


def test_a_tail_takes_no_read_beyond_those_of_all_searches():
    cache = ReadCache(FakeMonotonic())
    for _ in range(MAX_LOG_READS_PER_MIN):
        cache.record_log_read()
    with pytest.raises(SourceUnavailable):
        read_tail(cache, "tail")
    assert cache.log_reads_last_minute() == MAX_LOG_READS_PER_MIN


@pytest.mark.parametrize("read", [read_lines, read_tail])
def test_lines_are_read_again_after_an_action_that_changed_the_log_alone(read):
    cache = ReadCache(FakeMonotonic())
    read(cache, "lines")
    cache.invalidate(frozenset(("d.t",)))
    assert read(cache, "lines") == 1
    cache.invalidate(frozenset((LOG,)))
    assert read(cache, "lines") == 2


@pytest.mark.parametrize("name", ["cached_log_lines", "tailed_log_lines"])
def test_lines_count_as_rows_of_the_cache(name):
    cache = ReadCache(FakeMonotonic())
    cache.cached_rows("rows", (), lambda: "rows", lambda _: MAX_CACHED_ROWS)
    getattr(cache, name)("lines", 30.0, lambda: "lines", lambda _: 1)
    assert ("rows" in cache, "lines" in cache) == (False, True), "one more than may be kept"


def test_further_pages_of_a_search_count_too():
    cache = ReadCache(FakeMonotonic())
    for _ in range(3):
        cache.record_log_read()
    assert cache.log_reads_last_minute() == 3


# --- versions, growing values, what was read ------------------------------------------------------------------------------


def test_a_version_is_checked_again_when_it_is_older_than_asked():
    clock, fetched = FakeMonotonic(), []

    def fetch(name: str) -> bigquery.Table:
        fetched.append(name)
        return make_table()

    cache = ReadCache(clock)
    assert cache.table_version("d.t", fetch, 20.0).age_s == 0.0
    clock.seconds += 20
    assert cache.table_version("d.t", fetch, 20.0).age_s == 20.0
    assert cache.table_version("d.u", fetch, 20.0).age_s == 0.0
    clock.seconds += 1
    assert cache.table_version("d.t", fetch, 20.0).age_s == 0.0
    cache.expire_table_versions()
    cache.table_version("d.t", fetch, 20.0)
    assert fetched == ["d.t", "d.u", "d.t", "d.t"]


def test_after_an_action_timed_answers_are_read_again_and_kept_ones_stay_until_their_table_changes():
    cache, lasting, timed = (
        ReadCache(FakeMonotonic()),
        make_version(make_table()),
        make_version(make_table(type="VIEW")),
    )
    for version in (lasting, timed):
        cache.cached_rows(version.ttl_s, (version,), lambda: "old", lambda _: 1)
    cache.invalidate()
    assert cache.cached_rows(lasting.ttl_s, (lasting,), lambda: "new", lambda _: 1) == ("old", True)
    assert cache.cached_rows(timed.ttl_s, (timed,), lambda: "new", lambda _: 1) == ("new", False)


def test_after_an_action_only_what_it_changed_is_checked_again():
    cache, fetched = ReadCache(FakeMonotonic()), []

    def fetch(name: str) -> bigquery.Table:
        fetched.append(name)
        return make_table(type="VIEW")

    def read(changed: str) -> tuple[str, bool]:
        versions = tuple(cache.table_version(name, fetch) for name in ("d.t", "d.u"))
        cache.invalidate(frozenset((changed,)))
        return cache.cached_rows("rows", versions, lambda: "rows", lambda _: 1)

    assert [read("d.t")[1], read("d.x")[1], read("d.t")[1]] == [False, True, False]
    cache.table_version("d.t", fetch)
    cache.table_version("d.u", fetch)
    assert fetched == ["d.t", "d.u", "d.t", "d.t"]


def test_what_was_being_checked_when_all_checks_expired_is_checked_again():
    cache = ReadCache(FakeMonotonic())

    def fetch_meanwhile(_: object) -> bigquery.Table:
        cache.expire_table_versions()
        return make_table(numRows="1")

    cache.table_version("d.t", fetch_meanwhile)
    assert cache.table_version("d.t", lambda _: make_table(numRows="2")).table.num_rows == 2


def test_versions_are_known_only_where_each_table_was_checked():
    cache = ReadCache(FakeMonotonic())
    version = cache.table_version("d.t", lambda _: make_table())
    assert cache.known_versions(("d.t",)) == (version,)
    assert cache.known_versions(("d.t", "d.u")) is None


def test_an_answer_of_several_tables_is_kept_as_long_as_the_shortest_lived():
    clock = FakeMonotonic()
    cache, versions = ReadCache(clock), (make_version(make_table()), make_version(make_table(type="VIEW")))
    cache.cached_rows("k", versions, lambda: "old", lambda _: 1)
    clock.seconds += UNTRACKED_TTL_S
    assert cache.cached_rows("k", versions, lambda: "new", lambda _: 1) == ("old", True)
    clock.seconds += 1
    assert cache.cached_rows("k", versions, lambda: "new", lambda _: 1) == ("new", False)


def test_what_only_grows_is_revised_from_what_is_there():
    cache = ReadCache(FakeMonotonic())
    grow = lambda old: [*(old or []), len(old or [])]  # noqa: E731
    assert cache.revised("k", grow, len) == [0]
    assert cache.revised("k", grow, len) == [0, 1]
    assert cache.revised("other", grow, len) == [0]


def test_rows_of_an_entry_that_is_stored_again_count_once():
    cache = ReadCache(FakeMonotonic())
    cache.cached_rows("kept", (), lambda: "rows", lambda _: 100_000)
    for _ in range(5):
        cache.revised("grows", lambda _: "rows", lambda _: 100_000)
    assert cache.cached_rows("kept", (), lambda: "anew", lambda _: 1) == ("rows", True)
    cache.cached_rows("one more", (), lambda: "rows", lambda _: 1)
    assert cache.cached_rows("grows", (), lambda: "anew", lambda _: 1) == ("anew", False)


def test_one_answer_larger_than_the_cache_is_still_returned_and_kept():
    cache = ReadCache(FakeMonotonic())
    assert cache.cached_rows("k", (), lambda: "rows", lambda _: 300_000) == ("rows", False)
    assert cache.cached_rows("k", (), lambda: "anew", lambda _: 300_000) == ("rows", True)


def test_usage_counts_queries_and_their_bytes():
    usage = ReadCache(FakeMonotonic(), datetime(2025, 12, 30, tzinfo=UTC)).usage
    usage.record_query(10)
    usage.record_query(5)
    assert (usage.queries, usage.bytes_billed, usage.since) == (2, 15, datetime(2025, 12, 30, tzinfo=UTC))


def test_a_cache_without_answers_shares_the_tables_and_the_clock():
    clock = FakeMonotonic()
    cache = ReadCache(clock)
    other = cache.without_answers()
    assert (other.reuse_answers, cache.reuse_answers, other.tables is cache.tables) == (False, True, True)
    clock.seconds += 5
    assert other.table_version("d.t", lambda _: make_table(), -1).age_s == 0.0
