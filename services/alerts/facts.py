"""What the rules are evaluated on, read once per check: each fact known or unknown on its own, and the free ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from services.alerts.source_times import SourceTime, read_source_times
from services.batches.ids import parse_staging_table_name
from services.batches.ledger import BatchRecord
from services.batches.newest_record import read_newest_record
from services.batches.reader import WINDOW_LAG, WINDOW_LEAD, Batch, Batches, read_batches, read_open_dates
from services.batches.staging_listing import list_staging_tables
from services.batches.state import IN_PROGRESS_STATES
from services.core.clock import night_window, to_game_date
from services.core.errors import OnCallError
from services.core.freshness import WATCHDOG_CACHE_MAX_AGE
from services.core.result import Problem, Result
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.error_messages import translate_errors
from services.gcp.read_cache import ReadCache
from services.judgement.facts import nights_before
from services.nights.coverage import CoverageHistory, read_history
from services.nights.night_writes import read_night_writes, read_writes_within
from services.nights.player_stages import NightStatus, read_night
from services.phases.declaration import Phase
from services.phases.reader import NightPhases, read_phases
from services.plumbing.manifest import read_declared_jobs
from services.plumbing.scheduled_jobs import JobReport, compare_jobs
from services.plumbing.service_state import ServiceReport, read_service_report
from services.plumbing.subscriptions import SubscriptionReport, read_subscription_report
from services.scaling.capacity import WorkerCapacity, read_worker_capacity
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.scheduler import Schedule, read_schedule

T = TypeVar("T")

LOOKBACK_NIGHTS = 7
LOOKAHEAD_NIGHTS = 2  # before 06:00 ET tonight is still yesterday, and a batch may already be of tomorrow
NO_OPEN_DATES: Result[frozenset[date]] = Result(frozenset())
SERVICE_LINES_FILTER = 'resource.labels.service_name=("{worker}" OR "{coordinator}")'


@dataclass(frozen=True)
class StagingTableListing:
    """One staging table by its listing."""

    name: str
    created: datetime | None
    expires: datetime | None


@dataclass(frozen=True)
class NightSnapshot:
    """One night. `ledger` is the record of the newest batch in our ledger; None where there is no such batch.

    `writes` and `lines` are those since the newest batch began; `night_writes` those of every run of the date.
    """

    game_date: date
    night: Result[NightStatus]
    batches: Result[Batches]
    writes: Result[DmlReport]
    ledger: Result[BatchRecord | None]
    usual: Result[CoverageHistory]
    lines: Result[int]
    night_writes: Result[DmlReport]
    phases: NightPhases | None = None  # the steps before the predictions

    @property
    def newest_batch(self) -> Batch | None:
        return self.batches.value.newest if self.batches.value else None

    @property
    def has_live_batch(self) -> bool:
        return self.newest_batch is not None and self.newest_batch.state in IN_PROGRESS_STATES


@dataclass(frozen=True)
class ChannelStatus:
    """Whether notifications arrive: a channel is set, and what went wrong with the last message, if anything did."""

    is_set: bool
    problem: str = ""
    second_problem: str = ""  # with the channel that alerts are escalated to


@dataclass(frozen=True)
class Snapshot:
    """Everything that one check has read; `duplicates` are keys with several active rows, by recent date that has some."""

    nights: tuple[NightSnapshot, ...]
    staging: Result[tuple[StagingTableListing, ...]]
    worker: Result[WorkerCapacity]
    schedule: Result[Schedule]
    channel: ChannelStatus
    open_dates: Result[frozenset[date]]
    duplicates: Result[Mapping[date, int]]
    source_times: Result[tuple[SourceTime, ...]]
    jobs: Result[JobReport]
    services: Result[ServiceReport]
    subscriptions: Result[SubscriptionReport]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every source that could not be read, each once."""
        results: list[Result[Any]] = [self.staging, self.worker, self.schedule, self.open_dates]
        results += [self.duplicates, self.source_times, self.jobs, self.services, self.subscriptions]
        for n in self.nights:
            results += [n.night, n.batches, n.writes, n.night_writes, n.ledger, n.lines, n.usual]
        problems = [p for r in results for p in (r.problem, *getattr(r.value, "problems", ())) if p is not None]
        problems += [p for n in self.nights if n.phases is not None for p in n.phases.problems]
        return tuple({problem.source: problem for problem in reversed(problems)}.values())

    @property
    def idle_staging_tables(self) -> tuple[StagingTableListing, ...]:
        """The staging tables of no running batch; none where the list could not be read."""
        live = {n.newest_batch.batch_id for n in self.nights if n.newest_batch is not None and n.has_live_batch}
        tables = self.staging.value or ()
        return tuple(table for table in tables if parse_staging_table_name(table.name)[0] not in live)


class CheckCache:
    """The query results of this process's last checks. Each is valid while its tables are unchanged, which BigQuery reports for free."""

    def __init__(self) -> None:
        self._cache: ReadCache | None = None
        self._minute: datetime | None = None
        self._usual: dict[date, tuple[datetime, CoverageHistory]] = {}

    def cached_clients(self, clients: Clients) -> Clients:
        """The clients with that cache, for one check."""
        now = clients.now()
        minute = now.replace(second=0, microsecond=0)
        if self._cache is None or now - self._cache.usage.since >= WATCHDOG_CACHE_MAX_AGE:
            self._cache = ReadCache(lambda: clients.now().timestamp(), now, tables=clients.cache.tables)
        elif minute != self._minute:  # a log search is valid for its minute
            self._cache.invalidate()
        self._cache.expire_table_versions()
        self._minute = minute
        return replace(clients, cache=self._cache)

    def usual_nights(self, clients: Clients, cached_clients: Clients, day: date) -> Result[CoverageHistory]:
        """The nights before a date, which seldom change: read once, and again after WATCHDOG_CACHE_MAX_AGE."""
        now = clients.now()
        read_at, history = self._usual.get(day, (None, None))
        if read_at is not None and now - read_at < WATCHDOG_CACHE_MAX_AGE:
            return Result(history)
        fetched = fetch(clients, "Earlier nights", lambda: read_history(cached_clients, *nights_before(day)))
        if fetched.value is not None:
            recent = {kept: value for kept, value in self._usual.items() if now - value[0] < WATCHDOG_CACHE_MAX_AGE}
            self._usual = {**recent, day: (now, fetched.value)}
        return fetched


def fetch_open_dates(clients: Clients, cache: CheckCache) -> Result[frozenset[date]]:
    """The dates with a batch in our ledger that is under way or that a failure has stopped, whatever night it is."""
    cached_clients, recent_dates = cache.cached_clients(clients), _recent_dates(clients.now())
    return fetch(clients, "The ledger", lambda: read_open_dates(cached_clients, *recent_dates))


def _recent_dates(now: datetime) -> tuple[date, date]:
    """The first and the last date that concern a check."""
    tonight = to_game_date(now)
    return tonight - timedelta(days=LOOKBACK_NIGHTS), tonight + timedelta(days=LOOKAHEAD_NIGHTS)


def read_snapshot(
    clients: Clients,
    nights: Iterable[date],
    channel: ChannelStatus,
    cache: CheckCache | None = None,
    open_dates: Result[frozenset[date]] = NO_OPEN_DATES,
) -> Snapshot:
    """Read everything once; raises nothing: what cannot be read is unknown, with its problem."""
    cache = cache or CheckCache()
    cached_clients = cache.cached_clients(clients)
    today = to_game_date(cached_clients.now())
    with concurrent_reads() as pool:
        asked_nights = [pool.submit(_read_night_snapshot, clients, cached_clients, cache, day) for day in nights]
        staging = pool.submit(fetch, clients, "The list of staging tables", lambda: _list_staging(clients))
        worker = pool.submit(fetch, clients, "Cloud Run", lambda: read_worker_capacity(clients))
        schedule = pool.submit(fetch, clients, "Cloud Scheduler", lambda: read_schedule(clients))
        subscriptions = pool.submit(fetch, clients, "Pub/Sub", lambda: read_subscription_report(clients))
        services = pool.submit(fetch, clients, "Cloud Run, the services", lambda: read_service_report(clients))
        duplicates = pool.submit(fetch, clients, "The predictions table", lambda: _count_duplicate_keys(cached_clients))
        source_times = pool.submit(fetch, clients, "Odds and context", lambda: read_source_times(cached_clients, today))
    return Snapshot(
        tuple(night.result() for night in asked_nights),
        staging.result(),
        worker.result(),
        schedule.result(),
        channel,
        open_dates,
        duplicates.result(),
        source_times.result(),
        _compare_jobs(clients, schedule.result()),
        services.result(),
        subscriptions.result(),
    )


def _compare_jobs(clients: Clients, schedule: Result[Schedule]) -> Result[JobReport]:
    """The jobs beside the manifest, of the schedule that was read."""
    actual = schedule.value
    if actual is None:
        return Result(None, schedule.problem)
    return fetch(clients, "The job manifest", lambda: compare_jobs(read_declared_jobs(clients.settings), actual))


def fetch(clients: Clients, source: str, read: Callable[[], T]) -> Result[T]:
    """What `read` returns, or the problem of this source, an answer that cannot be parsed included."""
    try:
        with translate_errors(source):
            return Result(read())
    except OnCallError as error:
        return Result(None, Problem.from_error(source, clients.now(), error))


def _read_night_snapshot(clients: Clients, cached_clients: Clients, cache: CheckCache, day: date) -> NightSnapshot:
    now = clients.now()
    with concurrent_reads() as pool:
        asked_batches = pool.submit(fetch, clients, "The list of batches", lambda: read_batches(cached_clients, day))
        night = pool.submit(fetch, clients, "The warehouse", lambda: read_night(cached_clients, day))
        ledger = pool.submit(fetch, clients, "The ledger", lambda: read_newest_record(cached_clients, day))
        usual = pool.submit(cache.usual_nights, clients, cached_clients, day)
        batches = asked_batches.result()
        phases = pool.submit(read_phases, cached_clients, day, frozenset({Phase.BEFORE}))
        newest_batch = batches.value.newest if batches.value else None
        start, end = _batch_window(day, newest_batch, now)
        window = (start, min(now, end))
        newest_writes = pool.submit(
            fetch, clients, "The job history", lambda: read_writes_within(cached_clients, day, batches, window)
        )
        lines = pool.submit(_count_log_lines, clients, newest_batch, *window)
        has_earlier_runs = batches.value is not None and len(batches.value.batches) > 1
        all_writes = (
            pool.submit(fetch, clients, "The job history", lambda: read_night_writes(cached_clients, day))
            if has_earlier_runs
            else newest_writes
        )
    return NightSnapshot(
        day,
        night.result(),
        batches,
        newest_writes.result(),
        ledger.result(),
        usual.result(),
        lines.result(),
        all_writes.result(),
        phases.result(),
    )


def _batch_window(day: date, newest_batch: Batch | None, now: datetime) -> tuple[datetime, datetime]:
    """The time from the newest batch's start; without a batch, the night so far."""
    start, end = night_window(day)
    if newest_batch is None or newest_batch.started is None:
        return start, max(start, min(now, end))
    return newest_batch.started - WINDOW_LEAD, max(end, newest_batch.ended or end) + WINDOW_LAG


def _list_staging(clients: Clients) -> tuple[StagingTableListing, ...]:
    return tuple(StagingTableListing(t.table_id, t.created, t.expires) for t in list_staging_tables(clients))


def _count_duplicate_keys(clients: Clients) -> Mapping[date, int]:
    first_date, last_date = _recent_dates(clients.now())
    result = query_catalog.run_query(clients, "alerts.duplicate_keys", first_date=first_date, last_date=last_date)
    return {row["game_date"]: int(row["duplicate_keys"]) for row in result.rows}


def _count_log_lines(clients: Clients, newest_batch: Batch | None, start: datetime, end: datetime) -> Result[int]:
    """Whether the services have logged a line since the newest batch began; not read while there is no batch."""
    if newest_batch is None:
        return Result(0)
    return fetch(
        clients,
        "Cloud Logging",
        lambda: len(log_reader.read_lines(clients, SERVICE_LINES_FILTER, start, end, limit=1).lines),
    )
