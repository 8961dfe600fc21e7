"""Cache of query results and log lines, held until they can have changed, so that unchanged data is not read and billed again.

BigQuery reports for free when a table was last changed; a result is valid as long as each of its tables reports the same. Views,
external tables and tables that are streamed into do not report every change, so their results expire by time. Log lines of a
closed window never change; others expire by time. However many viewers there are, cached log searches are refreshed at most
MAX_LOG_REFRESHES_PER_MIN times a minute and the log is read at most MAX_LOG_READS_PER_MIN times: half of what Cloud Logging allows.
Of these, all log tails together get MAX_TAIL_READS_PER_MIN.
The times are in services/core/freshness.py.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Generic, TypeVar

from google.cloud import bigquery

from services.core.errors import SourceUnavailable
from services.core.freshness import STREAMED_TTL_S, UNTRACKED_TTL_S, VERSION_TTL_S
from services.core.sources import LOG, Sources
from services.core.tables import STREAMED_TABLES

T = TypeVar("T")

_LOG = frozenset((LOG,))
MAX_LOG_REFRESHES_PER_MIN, MAX_LOG_READS_PER_MIN, LOG_QUOTA_WINDOW_S = 6, 30, 60.0
MAX_TAIL_READS_PER_MIN = 6
NEVER_EXPIRES, EXPIRED = float("inf"), float("-inf")
STORED_TABLE_TYPES = (None, "TABLE", "SNAPSHOT")  # views and external tables do not report when their rows change
MAX_CACHED_ROWS = 200_000  # of all entries, about 140 MiB at 710 bytes a row; the least recently used go first
MAX_CACHED_ENTRIES = 2_000  # the same for answers with few rows or none


@dataclass(frozen=True)
class Version:
    """A table's metadata; `fingerprint` is equal as long as the table has not changed, which is certain for `ttl_s` seconds."""

    table: bigquery.Table
    fingerprint: tuple[Any, ...]
    ttl_s: float = NEVER_EXPIRES
    age_s: float = 0.0  # how long ago the metadata was read

    @property
    def reports_changes(self) -> bool:
        """Whether every change of its rows shows in the metadata at once."""
        return self.ttl_s == NEVER_EXPIRES


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    fingerprints: tuple[Any, ...]
    expires_at_s: float
    row_count: int
    sources: Sources


@dataclass
class UsageCounter:
    """What this process has read since `since`."""

    since: datetime
    queries: int = 0
    bytes_billed: int = 0
    log_read_times: deque[float] = field(default_factory=deque)  # those of the last minute
    tail_read_times: deque[float] = field(default_factory=deque)  # of these, what tails have read
    _lock: Lock = field(default_factory=Lock, repr=False)

    def record_query(self, bytes_billed: int) -> None:
        with self._lock:
            self.queries += 1
            self.bytes_billed += bytes_billed


class TableCache:
    """What tables held when they were last read, by table name; the reader decides by a table's version whether that still holds.

    Neither an action nor a plan empties it: tables that no longer exist are evicted, and nothing else.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.background_threads = 0  # threads that read on after the time of a check is over; guarded by `lock`
        self._contents: dict[str, tuple[object, float]] = {}

    def get(self, table_name: str) -> tuple[object | None, float]:
        """The contents and the monotonic second at which they were last verified; (None, -inf) when unknown."""
        return self._contents.get(table_name, (None, EXPIRED))

    def put(self, table_name: str, contents: object, verified_at_s: float) -> None:
        with self.lock:
            self._contents[table_name] = contents, verified_at_s

    def table_names(self) -> set[str]:
        with self.lock:
            return set(self._contents)

    def retain_only(self, existing: set[str]) -> None:
        """Evict every table that is not among the existing ones."""
        with self.lock:
            self._contents = {name: entry for name, entry in self._contents.items() if name in existing}


class ReadCache:
    """The one cache of what a process reads from Google. `monotonic` is a clock in seconds.

    With `reuse_answers` off, as plans and actions read, every query is run again, and only `tables` is used.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        since: datetime | None = None,
        *,
        tables: TableCache | None = None,
        reuse_answers: bool = True,
    ) -> None:
        self.reuse_answers = reuse_answers
        self.tables = tables or TableCache()
        self._monotonic = monotonic
        self._lock = Lock()  # guards what follows; entries and versions never change
        self._epoch = 0  # how often everything was invalidated: a read begun before that is not kept after it
        self._in_flight: dict[Hashable, Future[Any]] = {}
        self._versions: dict[str, tuple[float, Version]] = {}
        self._streamed_tables = set(STREAMED_TABLES)
        self._entries: OrderedDict[Hashable, _Entry[Any]] = OrderedDict()
        self._row_count = 0
        self.usage = UsageCounter(since or datetime.now(UTC))

    def without_answers(self) -> ReadCache:
        """A cache that runs every query again and shares only the table contents."""
        return ReadCache(self._monotonic, tables=self.tables, reuse_answers=False)

    def expire_table_versions(self) -> None:
        """Make the next query check its tables for changes, however recent the last check."""
        with self._lock:
            self._epoch += 1
            self._versions.clear()

    def invalidate(self, changed: Sources | None = None) -> None:
        """Make the next query of these tables check them, and the next log search read again if the log is among them.

        None: whatever it is.
        """
        with self._lock:
            self._epoch += 1
            for table_name in self._versions.keys() & (self._versions.keys() if changed is None else changed):
                del self._versions[table_name]
            for key, entry in self._entries.items():
                if entry.expires_at_s != NEVER_EXPIRES and (changed is None or entry.sources & changed):
                    self._entries[key] = replace(entry, expires_at_s=EXPIRED)

    def log_reads_last_minute(self) -> int:
        """How often the log was read within the last minute."""
        with self._lock:
            return self._count_recent_log_reads()

    def table_version(
        self, table_name: str, fetch_table: Callable[[str], bigquery.Table], max_age_s: float = VERSION_TTL_S
    ) -> Version:
        """A table's version, read again once it is older than `max_age_s`; raises what `fetch_table` raises."""

        def read(epoch: int) -> tuple[float, Version]:
            now = self._monotonic()
            with self._lock:
                read_at_s, cached = self._versions.get(table_name, (EXPIRED, None))
            if cached is not None and now - read_at_s <= max_age_s:
                return read_at_s, cached
            table = fetch_table(table_name)
            with self._lock:
                if table.streaming_buffer is not None:
                    # Its metadata shows the buffer some seconds after the first row, and new figures only after the last.
                    self._streamed_tables.add(table_name)
                version = make_version(table, streamed=table_name in self._streamed_tables)
                if epoch == self._epoch:
                    self._versions[table_name] = now, version
            return now, version

        (read_at_s, version), _ = self._share(("version", table_name), read)
        return replace(version, age_s=self._monotonic() - read_at_s)

    def known_versions(self, table_names: tuple[str, ...]) -> tuple[Version, ...] | None:
        """The tables' versions at their last checks, however long ago; None where one was not checked yet."""
        with self._lock:
            known = [self._versions[name][1] for name in table_names if name in self._versions]
        return tuple(known) if len(known) == len(table_names) else None

    def __contains__(self, key: Hashable) -> bool:
        """Whether there is a result of this key, however old."""
        with self._lock:
            return key in self._entries

    def cached_rows(
        self, key: Hashable, versions: tuple[Version, ...], fetch: Callable[[], T], count_rows: Callable[[T], int]
    ) -> tuple[T, bool]:
        """The cached result while its tables are unchanged, else what `fetch` returns; and whether it came from the cache."""
        fingerprints = tuple(version.fingerprint for version in versions)
        ttl_s = min((version.ttl_s for version in versions), default=NEVER_EXPIRES)

        def read() -> _Entry[T]:
            expires_at_s, value = self._monotonic() + ttl_s, fetch()
            sources = frozenset(f"{version.table.dataset_id}.{version.table.table_id}" for version in versions)
            return _Entry(value, fingerprints, expires_at_s, count_rows(value), sources)

        return self._get_or_read(key, fingerprints, read)

    def cached_log_lines(self, key: Hashable, ttl_s: float, read: Callable[[], T], count_rows: Callable[[T], int]) -> T:
        """Log lines, read again after `ttl_s`. Beyond the reads allowed per minute, lines of up to twice that age are returned.

        A search without such lines raises SourceUnavailable then: it must not look like an empty log.
        """

        def read_within_quota() -> _Entry[T]:
            now, cached = self._monotonic(), self._get_entry(key)
            recent = cached if cached is not None and now <= cached.expires_at_s + ttl_s else None
            if self._within_log_quota(MAX_LOG_READS_PER_MIN if recent is None else MAX_LOG_REFRESHES_PER_MIN):
                value = read()
                return _Entry(value, (), now + ttl_s, count_rows(value), _LOG)
            if recent is not None:
                return recent
            raise _quota_used(MAX_LOG_READS_PER_MIN)

        return self._get_or_read(key, (), read_within_quota)[0]

    def tailed_log_lines(self, key: Hashable, ttl_s: float, read: Callable[[], T], count_rows: Callable[[T], int]) -> T:
        """The newest log lines, read again after `ttl_s`. Beyond the reads that all tails are allowed, the last ones are returned.

        Without any it raises SourceUnavailable then, as `cached_log_lines` does.
        """

        def read_within_quota() -> _Entry[T]:
            now, cached = self._monotonic(), self._get_entry(key)
            if self._within_log_quota(MAX_LOG_READS_PER_MIN, is_tail=True):
                value = read()
                return _Entry(value, (), now + ttl_s, count_rows(value), _LOG)
            if cached is None:
                raise _quota_used(MAX_TAIL_READS_PER_MIN)
            return cached

        return self._get_or_read(key, (), read_within_quota)[0]

    def shared(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` returns, read once for all who ask while it is under way, and not kept."""
        return self._share(key, lambda _: read())[0] if self.reuse_answers else read()

    def revised(self, key: Hashable, revise: Callable[[T | None], T], count_rows: Callable[[T], int]) -> T:
        """What `revise` makes of the cached value (None when there is none), cached in its place: for what only grows."""

        def read(epoch: int) -> T:
            entry: _Entry[T] | None = self._get_entry(key)
            value = revise(entry.value if entry is not None else None)
            self._store(key, _Entry(value, (), NEVER_EXPIRES, count_rows(value), frozenset()), epoch)
            return value

        return self._share(key, read)[0]

    def _get_or_read(
        self, key: Hashable, fingerprints: tuple[Any, ...], read: Callable[[], _Entry[T]]
    ) -> tuple[T, bool]:
        """The value, and whether it was read for another: by an earlier reader, or by one that asked at the same time."""

        def get_or_read(epoch: int) -> tuple[T, bool]:
            cached: _Entry[T] | None = self._get_entry(key)
            if cached and cached.fingerprints == fingerprints and self._monotonic() <= cached.expires_at_s:
                return cached.value, True
            entry = read()
            self._store(key, entry, epoch)
            return entry.value, False

        (value, from_cache), own = self._share((key, fingerprints), get_or_read)
        return value, from_cache or not own

    def _get_entry(self, key: Hashable) -> _Entry[Any] | None:
        """An entry, which becomes the most recently used one."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def _store(self, key: Hashable, entry: _Entry[Any], epoch: int) -> None:
        with self._lock:
            if epoch != self._epoch:
                return
            previous = self._entries.pop(key, None)
            self._row_count += entry.row_count - (previous.row_count if previous else 0)
            self._entries[key] = entry
            while len(self._entries) > (1 if self._row_count > MAX_CACHED_ROWS else MAX_CACHED_ENTRIES):
                self._row_count -= self._entries.popitem(last=False)[1].row_count

    def record_log_read(self) -> None:
        """Count one more read of the log: every page of a search is one for Cloud Logging."""
        with self._lock:
            self.usage.log_read_times.append(self._monotonic())

    def _within_log_quota(self, max_reads: int, is_tail: bool = False) -> bool:
        with self._lock:
            now, tails = self._monotonic(), self.usage.tail_read_times
            if self._count_recent_log_reads() >= max_reads:
                return False
            if is_tail and _count_recent(tails, now) >= MAX_TAIL_READS_PER_MIN:
                return False
            self.usage.log_read_times.append(now)
            if is_tail:
                tails.append(now)
            return True

    def _count_recent_log_reads(self) -> int:
        return _count_recent(self.usage.log_read_times, self._monotonic())

    def _share(self, key: Hashable, read: Callable[[int], T]) -> tuple[T, bool]:
        """What `read` returns or raises, and whether it was called: of concurrent readers of a key one reads, for all of them.

        Readers that ask after an invalidation do not share what was begun before it; `read` is given the epoch it belongs to.
        """
        with self._lock:
            epoch = self._epoch
            shared: Future[T] | None = self._in_flight.get((epoch, key))
            if shared is None:
                own = self._in_flight[epoch, key] = Future[T]()
        if shared is not None:
            return shared.result(), False
        try:
            own.set_result(read(epoch))
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._in_flight[epoch, key]
        return own.result(), True


def _count_recent(read_times: deque[float], now: float) -> int:
    """How many of the read times are of the last minute; drops the others. Call under the lock."""
    while read_times and read_times[0] <= now - LOG_QUOTA_WINDOW_S:
        read_times.popleft()
    return len(read_times)


def _quota_used(max_reads: int) -> SourceUnavailable:
    return SourceUnavailable(
        f"The log read limit is reached ({max_reads}/min).",
        "Read again automatically within a minute.",
    )


def make_version(table: bigquery.Table, *, streamed: bool = False) -> Version:
    """A table's version, from metadata that was just read; `streamed`: it is known to be streamed into."""
    buffer = table.streaming_buffer
    buffer_state = None if buffer is None else (buffer.estimated_rows, buffer.oldest_entry_time)
    identity = (str(table.reference), table.table_type, table.created)  # a table that was replaced is another one
    fingerprint = (*identity, table.modified, table.num_rows, buffer_state)
    if buffer is not None or table.table_type not in STORED_TABLE_TYPES:
        return Version(table, fingerprint, UNTRACKED_TTL_S)
    return Version(table, fingerprint, STREAMED_TTL_S if streamed else NEVER_EXPIRES)
