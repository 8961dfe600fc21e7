"""BigQuery's, Cloud Run's and Logging's limits as plain rules on a clock: no HTTP here, so they can also be simulated at any size.

Figures are the platform's documented ones; each rule answers with the key of an error in `google_errors`, or None.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Literal

DML_RUNNING = 2
DML_WAITING = 20
MAX_TABLES_PER_QUERY = 1_000
MAX_QUERY_CHARS = 1_024_000
MAX_COPY_SOURCES = 1_200
METHOD_RATES = {"TableService.insertTable": 10, "JobService.getJob": 1_000, "TableDataService.list": 1_000}
DAY_S = 86_400.0
STREAMING_BUFFER_S = 30 * 60.0


@dataclass
class Window:
    """At most `limit` events in any `seconds`; times are seconds on any monotonic clock."""

    limit: int
    seconds: float
    events: deque[float] = field(default_factory=deque)
    peak: int = 0

    def count(self, now: float) -> int:
        while self.events and self.events[0] <= now - self.seconds:
            self.events.popleft()
        return len(self.events)

    def note(self, now: float) -> None:
        """Count an event that this limit does not block."""
        self.events.append(now)
        self.peak = max(self.peak, self.count(now))

    def take(self, now: float) -> bool:
        """Whether one more event is within the limit; counted only then."""
        if self.count(now) >= self.limit:
            return False
        self.note(now)
        return True


@dataclass
class DmlQueue:
    """Mutating DML on one table: 2 run, 20 wait, the next is refused."""

    running: set[str] = field(default_factory=set)
    waiting: deque[str] = field(default_factory=deque)
    peak: int = 0

    def submit(self, job: str) -> Literal["run", "wait", "full"]:
        if len(self.running) < DML_RUNNING:
            self.running.add(job)
            answer: Literal["run", "wait", "full"] = "run"
        elif len(self.waiting) < DML_WAITING:
            self.waiting.append(job)
            answer = "wait"
        else:
            return "full"
        self.peak = max(self.peak, self.outstanding)
        return answer

    def finish(self, job: str) -> str | None:
        """Take a statement out; the waiting one that runs next, if any."""
        self.running.discard(job)
        if job in self.waiting:
            self.waiting.remove(job)
        if not self.waiting or len(self.running) >= DML_RUNNING:
            return None
        following = self.waiting.popleft()
        self.running.add(following)
        return following

    @property
    def full(self) -> bool:
        return len(self.running) >= DML_RUNNING and len(self.waiting) >= DML_WAITING

    @property
    def outstanding(self) -> int:
        return len(self.running) + len(self.waiting)


@dataclass
class Limits:
    """Every counted limit of one project and one user. Quotas follow a table's name, so dropping it resets nothing."""

    dml: dict[str, DmlQueue] = field(default_factory=lambda: defaultdict(DmlQueue))
    dml_rate: dict[str, Window] = field(default_factory=lambda: defaultdict(lambda: Window(25, 10)))
    metadata: dict[str, Window] = field(default_factory=lambda: defaultdict(lambda: Window(5, 10)))
    partitioned_metadata: dict[str, Window] = field(default_factory=lambda: defaultdict(lambda: Window(50, 10)))
    imports: dict[str, Window] = field(default_factory=lambda: defaultdict(lambda: Window(1_500, DAY_S)))
    loads: Window = field(default_factory=lambda: Window(100_000, DAY_S))
    copies: Window = field(default_factory=lambda: Window(100_000, DAY_S))
    methods: dict[str, Window] = field(default_factory=dict)
    streamed_at: dict[str, float] = field(default_factory=dict)
    log_reads: Window = field(default_factory=lambda: Window(60, 60))

    def api_call(self, method: str, now: float) -> str | None:
        """One call of an API method: so many a second each."""
        rate = METHOD_RATES.get(method, 100)
        return None if self.methods.setdefault(method, Window(rate, 1)).take(now) else "api_rate"

    def log_read(self, now: float) -> str | None:
        return None if self.log_reads.take(now) else "log_reads"

    def metadata_update(self, table: str, partitioned: bool, now: float) -> str | None:
        """Creating, patching, loading or copying into a table."""
        if partitioned:
            return None if self.partitioned_metadata[table].take(now) else "partitioned_table_update_rate"
        return None if self.metadata[table].take(now) else "table_update_rate"

    def dml_statement(self, table: str, partitioned: bool, now: float) -> str | None:
        """A DML statement's own rate; it counts as a metadata update but is never blocked by that limit."""
        if not self.dml_rate[table].take(now):
            return "dml_rate"
        (self.partitioned_metadata if partitioned else self.metadata)[table].note(now)
        return None

    def query_write(self, table: str, partitioned: bool, now: float) -> str | None:
        """A query that writes its answer into a table: the table's day and its metadata rate."""
        return (
            self.metadata_update(table, partitioned, now) if self.imports[table].take(now) else "table_imports_per_day"
        )

    def streamed(self, table: str, now: float) -> None:
        """Rows were streamed into a table by insertAll."""
        self.streamed_at[table] = now

    def streaming(self, table: str, now: float) -> bool:
        """Whether a table has rows so young that UPDATE and DELETE may not touch them."""
        return now - self.streamed_at.get(table, float("-inf")) < STREAMING_BUFFER_S

    def write_job(self, kind: Literal["load", "copy"], table: str, partitioned: bool, now: float) -> str | None:
        """A load or copy job into a table: the project's day, the table's day, the table's metadata rate."""
        if not (self.loads if kind == "load" else self.copies).take(now):
            return "project_loads_per_day" if kind == "load" else "project_copies_per_day"
        if not self.imports[table].take(now):
            return "table_imports_per_day"
        return self.metadata_update(table, partitioned, now)


def query_shape(tables: int, characters: int) -> str | None:
    """Limits on what a query names and how long it is."""
    if characters > MAX_QUERY_CHARS:
        return "query_too_large"
    return "too_many_tables" if tables > MAX_TABLES_PER_QUERY else None


def simulate_merges(arrivals_s: list[float], service_s: float) -> tuple[int, int]:
    """Direct MERGEs against one table, without HTTP: (landed, refused) for statements arriving at these instants."""
    import heapq

    queue, landed, refused = DmlQueue(), 0, 0
    events: list[tuple[float, int, str, str]] = [(at, i, "arrive", f"j{i}") for i, at in enumerate(arrivals_s)]
    heapq.heapify(events)
    order = len(events)
    while events:
        at, _, kind, job = heapq.heappop(events)
        if kind == "arrive":
            state = queue.submit(job)
            refused += state == "full"
            following = job if state == "run" else None
        else:
            landed += 1
            following = queue.finish(job)
        if following is not None:
            order += 1
            heapq.heappush(events, (at + service_s, order, "finish", following))
    return landed, refused
