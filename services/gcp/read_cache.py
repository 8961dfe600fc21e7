"""Answers of the warehouse and of the log, kept until they can have changed: what has not changed is not asked and billed again.

BigQuery tells for nothing when a table was last changed. An answer holds as long as each of its tables says the same as before it
was asked. A table with rows in a streaming buffer does not say; its answers hold for some seconds. Log lines of a night long past
cannot change; others hold for a minute. However many people watch, lines that are known are read again at most `LOG_REFRESHES` times
a minute, and with searches that nobody asked before at most `LOG_READS` times: half of what Cloud Logging admits.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Generic, TypeVar

from google.cloud import bigquery

from services.core.errors import SourceUnreadable

T = TypeVar("T")

LOOK_EVERY_S = 3.0  # how often a table is asked whether it has changed, whoever looks
LOOK_AT_OURS_S = 0.5  # the same for our own records: what was just done must be seen
STREAMED_FOR_S = 15.0  # how long an answer holds while rows are being streamed into its table
LOG_REFRESHES, LOG_READS, LOG_SPAN_S = 6, 30, 60.0
FOREVER, PAST = float("inf"), float("-inf")
MOST_ROWS = 200_000  # in all answers kept, some 140 MiB at 710 bytes a row of a night; what was not looked at for longest goes first


@dataclass(frozen=True)
class Version:
    """What a table says of itself for nothing; `mark` is equal as long as the table has not changed."""

    table: bigquery.Table
    mark: tuple[Any, ...]
    age_s: float = 0.0  # how long ago it was asked

    @property
    def streaming(self) -> bool:
        return self.table.streaming_buffer is not None


@dataclass
class _Held(Generic[T]):
    value: T
    marks: tuple[Any, ...]
    until_s: float
    rows: int


@dataclass
class Bill:
    """What this process has asked since it began."""

    since: datetime
    queries: int = 0
    bytes_billed: int = 0
    log_reads: deque[float] = field(default_factory=deque)  # those of the last minute

    def query(self, billed: int) -> None:
        self.queries += 1
        self.bytes_billed += billed


class Kept:
    """One process's memory of what it has read. `tick` is a monotonic clock in seconds."""

    def __init__(self, tick: Callable[[], float] = time.monotonic, since: datetime | None = None) -> None:
        self._tick = tick
        self._lock = Lock()
        self._asking: dict[Hashable, Lock] = {}
        self._versions: dict[str, tuple[float, Version]] = {}
        self._held: OrderedDict[Hashable, _Held[Any]] = OrderedDict()
        self._rows = 0
        self.bill = Bill(since or datetime.now(UTC))

    def tables_again(self) -> None:
        """The next question asks its tables whether they have changed, however short ago they were asked."""
        with self._lock:
            self._versions.clear()

    def look_again(self) -> None:
        """Somebody has acted: the next question asks its tables and the log whether they have changed."""
        self.tables_again()
        with self._lock:
            for held in self._held.values():
                held.until_s = FOREVER if held.until_s == FOREVER else PAST

    def log_reads(self) -> int:
        """How often the log was read within the last minute."""
        with self._lock:
            return self._recent_log_reads()

    def version(self, name: str, look: Callable[[str], bigquery.Table], every_s: float = LOOK_EVERY_S) -> Version:
        """A table's version, asked at most every `every_s` seconds; raises what `look` raises."""
        with self._one_at_a_time(("version", name)):
            now = self._tick()
            asked_s, known = self._versions.get(name, (PAST, None))
            if known is None or now - asked_s > every_s:
                table = look(name)
                asked_s, known = self._versions[name] = now, version_of(table)
            return replace(known, age_s=now - asked_s)

    def answer(
        self, key: Hashable, versions: tuple[Version, ...], ask: Callable[[], T], rows_of: Callable[[T], int]
    ) -> tuple[T, bool]:
        """The kept answer while its tables stay the same, else what `ask` gives; and whether it was kept."""
        marks = tuple(version.mark for version in versions)
        holds_s = STREAMED_FOR_S if any(version.streaming for version in versions) else FOREVER
        return self._ask(key, marks, holds_s, ask, rows_of)

    def lines(self, key: Hashable, holds_s: float, read: Callable[[], T], rows_of: Callable[[T], int]) -> T:
        """Log lines, read again after `holds_s`. Beyond the reads that a minute admits, the older lines stay.

        A search that was never made raises SourceUnreadable then: no line is not what was found.
        """

        def within_bounds() -> T:
            old: _Held[T] | None = self._held.get(key)
            if self._may_read_log(LOG_READS if old is None else LOG_REFRESHES):
                return read()
            if old is not None:
                return old.value
            raise SourceUnreadable(
                f"The log was read {LOG_READS} times within a minute, which is the most that this desk asks.",
                "It is read again within a minute; this page looks by itself.",
            )

        return self._ask(key, (), holds_s, within_bounds, rows_of)[0]

    def _ask(
        self,
        key: Hashable,
        marks: tuple[Any, ...],
        holds_s: float,
        ask: Callable[[], T],
        rows_of: Callable[[T], int],
    ) -> tuple[T, bool]:
        with self._one_at_a_time(key):
            held = self._held.get(key)
            if held is not None and held.marks == marks and self._tick() <= held.until_s:
                self._held.move_to_end(key)
                return held.value, True
            value = ask()
            self._hold(key, _Held(value, marks, self._tick() + holds_s, rows_of(value)))
            return value, False

    def _hold(self, key: Hashable, held: _Held[Any]) -> None:
        with self._lock:
            before = self._held.pop(key, None)
            self._rows += held.rows - (before.rows if before else 0)
            self._held[key] = held
            while self._rows > MOST_ROWS and len(self._held) > 1:
                self._rows -= self._held.popitem(last=False)[1].rows

    def _may_read_log(self, most: int) -> bool:
        with self._lock:
            if self._recent_log_reads() >= most:
                return False
            self.bill.log_reads.append(self._tick())
            return True

    def _recent_log_reads(self) -> int:
        reads, until = self.bill.log_reads, self._tick() - LOG_SPAN_S
        while reads and reads[0] <= until:
            reads.popleft()
        return len(reads)

    @contextmanager
    def _one_at_a_time(self, key: Hashable) -> Iterator[None]:
        """Of many who ask the same at once, one asks and the others get its answer."""
        with self._lock:
            lock = self._asking.setdefault(key, Lock())
        with lock:
            yield
        with self._lock:
            if not lock.locked():
                self._asking.pop(key, None)


def version_of(table: bigquery.Table) -> Version:
    """A table's version, as it tells it now."""
    buffer = table.streaming_buffer
    streamed = None if buffer is None else (buffer.estimated_rows, buffer.oldest_entry_time)
    return Version(table, (str(table.reference), table.modified, table.num_rows, streamed))
