"""Everything the watchdog judges by, read once per look: each fact known or unknown on its own, and the free ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from services.batches.ids import DATASET, STAGING_TABLE_PREFIX
from services.batches.ledger import BatchRecord, Ledger
from services.batches.reader import Batch, Batches, read_batches
from services.batches.state import IN_PROGRESS_STATES
from services.core.clock import night_window
from services.core.errors import OnCallError
from services.core.result import DataSource, Problem, Result
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.error_messages import iterate_pages, translate_errors
from services.gcp.read_cache import ReadCache
from services.nights.player_stages import NightStatus, read_night
from services.scaling.worker_width import WorkerCapacity, read_worker_capacity
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport, read_writes
from services.telemetry.scheduler import Schedule, read_schedule

T = TypeVar("T")

CACHE_MAX_AGE = timedelta(minutes=10)  # rows that stream in may not show in a table's metadata at once
WINDOW_LEAD, WINDOW_LAG = timedelta(minutes=1), timedelta(minutes=5)
SERVICE_LINES = 'resource.labels.service_name=("{worker}" OR "{coordinator}")'


@dataclass(frozen=True)
class SlateCounts:
    """When a night tips off, and how many names with odds meet nobody even through an alias, beside the last night with odds."""

    tip_off: datetime | None
    with_odds: int
    unresolved: int
    previous_with_odds: int
    previous_unresolved: int
    resolved_by_alias: int = 0


@dataclass(frozen=True)
class StagingTableListing:
    """One staging table by its listing."""

    name: str
    created: datetime | None
    expires: datetime | None


@dataclass(frozen=True)
class NightSnapshot:
    """One night. `ledger` holds the sums of the newest batch of our ledger; None where there is no such batch."""

    game_date: date
    night: Result[NightStatus]
    slate: Result[SlateCounts]
    batches: Result[Batches]
    writes: Result[DmlReport]
    ledger: Result[BatchRecord]
    duplicates: Result[int]
    lines: Result[int]

    @property
    def newest_batch(self) -> Batch | None:
        return self.batches.value.batches[0] if self.batches.value and self.batches.value.batches else None

    @property
    def has_live_batch(self) -> bool:
        return self.newest_batch is not None and self.newest_batch.state in IN_PROGRESS_STATES


@dataclass(frozen=True)
class ChannelStatus:
    """Whether messages reach somebody: a channel is set, and what went wrong with the last message, if anything did."""

    is_set: bool
    problem: str = ""


@dataclass(frozen=True)
class Snapshot:
    nights: tuple[NightSnapshot, ...]
    staging: Result[tuple[StagingTableListing, ...]]
    worker: Result[WorkerCapacity]
    schedule: Result[Schedule]
    channel: ChannelStatus

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every source that could not be read, each once."""
        results: list[Result[Any]] = [self.staging, self.worker, self.schedule]
        for n in self.nights:
            results += [n.night, n.slate, n.batches, n.writes, n.ledger, n.duplicates, n.lines]
        problems = [p for r in results for p in (r.problem, *getattr(r.value, "problems", ())) if p is not None]
        return tuple({problem.source: problem for problem in reversed(problems)}.values())


class CheckCache:
    """The answers of this process's last looks. Each holds while its tables stay as they were, which BigQuery tells for nothing."""

    def __init__(self) -> None:
        self._cache: ReadCache | None = None
        self._minute: datetime | None = None

    def cached_clients(self, clients: Clients) -> Clients:
        """The cloud's doors with that memory, for one look."""
        now = clients.now()
        minute = now.replace(second=0, microsecond=0)
        if self._cache is None or now - self._cache.usage.since >= CACHE_MAX_AGE:
            self._cache = ReadCache(lambda: clients.now().timestamp(), now, tables=clients.cache.tables)
        elif minute != self._minute:  # what the log told holds no longer than its minute
            self._cache.invalidate()
        self._cache.expire_table_versions()
        self._minute = minute
        return replace(clients, cache=self._cache)


def read_snapshot(
    clients: Clients, nights: Iterable[date], channel: ChannelStatus, cache: CheckCache | None = None
) -> Snapshot:
    """Read everything once; raises nothing: what cannot be read is told as unknown."""
    cached_clients = (cache or CheckCache()).cached_clients(clients)
    return Snapshot(
        tuple(_read_night_snapshot(clients, cached_clients, day) for day in nights),
        fetch(clients, "The list of staging tables", lambda: _list_staging(clients)),
        fetch(clients, "Cloud Run", lambda: read_worker_capacity(clients)),
        fetch(clients, "Cloud Scheduler", lambda: read_schedule(clients)),
        channel,
    )


def fetch(clients: Clients, source: str, read: Callable[[], T]) -> Result[T]:
    try:
        return Result(read())
    except OnCallError as error:
        return Result(None, Problem.from_error(source, clients.now(), error))


def _read_night_snapshot(clients: Clients, cached_clients: Clients, day: date) -> NightSnapshot:
    now = clients.now()
    batches = fetch(clients, "The list of batches", lambda: read_batches(cached_clients, day))
    newest_batch = batches.value.batches[0] if batches.value and batches.value.batches else None
    start, end = _batch_window(day, newest_batch, now)
    return NightSnapshot(
        day,
        fetch(clients, "The warehouse", lambda: read_night(cached_clients, day)),
        fetch(clients, "The slate", lambda: _read_slate(cached_clients, day)),
        batches,
        fetch(clients, "The job history", lambda: read_writes(clients, start, min(now, end))),
        fetch(clients, "The ledger", lambda: _read_batch_record(cached_clients, day, newest_batch)),
        fetch(clients, "The predictions table", lambda: _count_duplicate_keys(cached_clients, day)),
        _count_log_lines(clients, newest_batch, start, min(now, end)),
    )


def _batch_window(day: date, newest_batch: Batch | None, now: datetime) -> tuple[datetime, datetime]:
    """The time that the newest batch answers for; without one, the night so far."""
    start, end = night_window(day)
    if newest_batch is None or newest_batch.started is None:
        return start, max(start, min(now, end))
    return newest_batch.started - WINDOW_LEAD, max(end, newest_batch.ended or end) + WINDOW_LAG


def _list_staging(clients: Clients) -> tuple[StagingTableListing, ...]:
    with translate_errors("BigQuery tables.list"):
        iterator = clients.bigquery.list_tables(DATASET, page_size=1000, timeout=20)
        tables = [
            t for t in iterate_pages("BigQuery tables.list", iterator) if t.table_id.startswith(STAGING_TABLE_PREFIX)
        ]
    return tuple(
        sorted(
            (StagingTableListing(t.table_id, t.created, t.expires) for t in tables), key=lambda listing: listing.name
        )
    )


def _read_slate(clients: Clients, day: date) -> SlateCounts:
    rows = query_catalog.run_query(clients, "alerts.slate_counts", first_date=day - timedelta(days=7), last_date=day).rows
    current = next((row for row in rows if row["game_date"] == day), None)
    previous: Sequence[dict[str, Any]] = [row for row in rows if row["game_date"] < day][-1:]
    with_odds, unresolved, resolved_by_alias = (
        (current["lined"], current["unresolved"], current["through_alias"]) if current else (0, 0, 0)
    )
    previous_with_odds, previous_unresolved = (previous[0]["lined"], previous[0]["unresolved"]) if previous else (0, 0)
    tip_off = current["tip_off"] if current else None
    return SlateCounts(tip_off, with_odds, unresolved, previous_with_odds, previous_unresolved, resolved_by_alias)


def _read_batch_record(clients: Clients, day: date, newest_batch: Batch | None) -> Any:
    if newest_batch is None or newest_batch.record_source != "ledger":
        return None
    with translate_errors("The ledger"):
        return Ledger(clients).latest(newest_batch.batch_id, day)


def _count_duplicate_keys(clients: Clients, day: date) -> int:
    return int(query_catalog.run_query(clients, "alerts.duplicate_keys", game_date=day).rows[0]["duplicate_keys"])


def _count_log_lines(clients: Clients, newest_batch: Batch | None, start: datetime, end: datetime) -> Any:
    """Whether the services have said anything since the newest batch began; not asked while there is no batch."""
    if newest_batch is None:
        return Result(0)
    return fetch(
        clients, "Cloud Logging", lambda: len(log_reader.read_lines(clients, SERVICE_LINES, start, end, limit=1).lines)
    )


def sources_of(facts: Snapshot) -> tuple[DataSource, ...]:
    """What was read, for the bill."""
    readings: list[Any] = [r.value for n in facts.nights for r in (n.night, n.batches, n.writes)]
    return tuple(source for value in readings if value is not None for source in value.sources)
