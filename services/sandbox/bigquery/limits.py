"""BigQuery's, Cloud Run's and Logging's limits as plain rules on a clock: no HTTP here, so they can be simulated at any size.

Figures are the documented ones; each rule returns the key of an error in services.gcp.error_table, or None when it is within the limit.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

MAX_RUNNING_DML = 2
MAX_QUEUED_DML = 20
MAX_TABLES_PER_QUERY = 1_000
MAX_QUERY_CHARS = 1_024_000
MAX_COPY_SOURCES = 1_200
METHOD_RATES_PER_S = {"TableService.insertTable": 10, "JobService.getJob": 1_000, "TableDataService.list": 1_000}
DAY_S = 86_400.0


@dataclass
class RateWindow:
    """At most `limit` events in any `seconds`; times are seconds on any monotonic clock."""

    limit: int
    seconds: float
    events: deque[float] = field(default_factory=deque)
    peak: int = 0

    def count(self, now: float) -> int:
        while self.events and self.events[0] <= now - self.seconds:
            self.events.popleft()
        return len(self.events)

    def record(self, now: float) -> None:
        """Count an event that this limit does not block."""
        self.events.append(now)
        self.peak = max(self.peak, self.count(now))

    def try_acquire(self, now: float) -> bool:
        """Whether one more event is within the limit; counted only then."""
        if self.count(now) >= self.limit:
            return False
        self.record(now)
        return True


@dataclass
class DmlQueue:
    """Mutating DML on one table: 2 run, 20 are queued, the next is rejected."""

    running: set[str] = field(default_factory=set)
    queued: deque[str] = field(default_factory=deque)
    peak: int = 0

    def submit(self, job: str) -> Literal["run", "wait", "full"]:
        if len(self.running) < MAX_RUNNING_DML:
            self.running.add(job)
            result: Literal["run", "wait", "full"] = "run"
        elif len(self.queued) < MAX_QUEUED_DML:
            self.queued.append(job)
            result = "wait"
        else:
            return "full"
        self.peak = max(self.peak, self.outstanding)
        return result

    def finish(self, job: str) -> str | None:
        """Remove a statement; returns the queued one that starts now, if any."""
        self.running.discard(job)
        if job in self.queued:
            self.queued.remove(job)
        if not self.queued or len(self.running) >= MAX_RUNNING_DML:
            return None
        next_job = self.queued.popleft()
        self.running.add(next_job)
        return next_job

    @property
    def is_full(self) -> bool:
        return len(self.running) >= MAX_RUNNING_DML and len(self.queued) >= MAX_QUEUED_DML

    @property
    def outstanding(self) -> int:
        return len(self.running) + len(self.queued)


@dataclass
class Limits:
    """Every counted limit of one project and one user. Quotas follow a table's name, so dropping it resets nothing."""

    dml_queues: dict[str, DmlQueue] = field(default_factory=lambda: defaultdict(DmlQueue))
    dml_rate: dict[str, RateWindow] = field(default_factory=lambda: defaultdict(lambda: RateWindow(25, 10)))
    metadata_updates: dict[str, RateWindow] = field(default_factory=lambda: defaultdict(lambda: RateWindow(5, 10)))
    partitioned_metadata_updates: dict[str, RateWindow] = field(
        default_factory=lambda: defaultdict(lambda: RateWindow(50, 10))
    )
    table_writes: dict[str, RateWindow] = field(default_factory=lambda: defaultdict(lambda: RateWindow(1_500, DAY_S)))
    loads: RateWindow = field(default_factory=lambda: RateWindow(100_000, DAY_S))
    copies: RateWindow = field(default_factory=lambda: RateWindow(100_000, DAY_S))
    api_calls: dict[str, RateWindow] = field(default_factory=dict)
    log_reads: RateWindow = field(default_factory=lambda: RateWindow(60, 60))

    def check_api_call(self, method: str, now: float) -> str | None:
        """One call of an API method; each method has its own rate per second."""
        rate = METHOD_RATES_PER_S.get(method, 100)
        return None if self.api_calls.setdefault(method, RateWindow(rate, 1)).try_acquire(now) else "api_rate"

    def check_log_read(self, now: float) -> str | None:
        return None if self.log_reads.try_acquire(now) else "log_reads"

    def check_metadata_update(self, table: str, partitioned: bool, now: float) -> str | None:
        """Creating, patching, loading or copying into a table."""
        if partitioned:
            return (
                None if self.partitioned_metadata_updates[table].try_acquire(now) else "partitioned_table_update_rate"
            )
        return None if self.metadata_updates[table].try_acquire(now) else "table_update_rate"

    def check_dml_statement(self, table: str, partitioned: bool, now: float) -> str | None:
        """A DML statement's own rate; it counts as a metadata update but is never blocked by that limit."""
        if not self.dml_rate[table].try_acquire(now):
            return "dml_rate"
        (self.partitioned_metadata_updates if partitioned else self.metadata_updates)[table].record(now)
        return None

    def check_query_write(self, table: str, partitioned: bool, now: float) -> str | None:
        """A query with a destination table: the table's daily writes and its metadata update rate."""
        return (
            self.check_metadata_update(table, partitioned, now)
            if self.table_writes[table].try_acquire(now)
            else "table_imports_per_day"
        )

    def check_write_job(self, kind: Literal["load", "copy"], table: str, partitioned: bool, now: float) -> str | None:
        """A load or copy job: the project's daily jobs, the table's daily writes, the table's metadata update rate."""
        if not (self.loads if kind == "load" else self.copies).try_acquire(now):
            return "project_loads_per_day" if kind == "load" else "project_copies_per_day"
        if not self.table_writes[table].try_acquire(now):
            return "table_imports_per_day"
        return self.check_metadata_update(table, partitioned, now)


def check_query_size(tables: int, characters: int) -> str | None:
    """Limits on the number of tables a query names and on its length."""
    if characters > MAX_QUERY_CHARS:
        return "query_too_large"
    return "too_many_tables" if tables > MAX_TABLES_PER_QUERY else None


def simulate_dml_queue(arrivals_s: Sequence[float], duration_s: float) -> list[tuple[float, float] | None]:
    """(start, end) of each mutating statement on one table, in order of `arrivals_s` (seconds); None for a rejected one."""
    queue = DmlQueue()
    intervals: list[tuple[float, float] | None] = [None] * len(arrivals_s)
    events = [(at, i, "arrive") for i, at in enumerate(arrivals_s)]
    heapq.heapify(events)
    while events:
        at, i, kind = heapq.heappop(events)
        if kind == "finish":
            started = queue.finish(str(i))
        elif queue.submit(str(i)) == "run":
            started = str(i)
        else:
            continue
        if started is not None:
            intervals[int(started)] = (at, at + duration_s)
            heapq.heappush(events, (at + duration_s, int(started), "finish"))
    return intervals
