"""Everything the watchdog judges by, read once per look: each fact known or unknown on its own, and the free ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from services.batches.ids import DATASET, STAGING
from services.batches.ledger import Entry, Ledger
from services.batches.reader import Batch, Batches, read_batches
from services.batches.state import LIVE
from services.core.clock import night_window
from services.core.errors import OnCallError
from services.core.result import Problem, Reading, Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.error_messages import items_of, reading_from
from services.gcp.read_cache import Kept
from services.nights.player_stages import Night, read_night
from services.scaling.worker_width import WorkerWidth, read_worker
from services.telemetry import log_reader as logs
from services.telemetry.dml_jobs import DmlReport, read_writes
from services.telemetry.scheduler import Schedule, read_schedule

T = TypeVar("T")

KEEP_AT_MOST = timedelta(minutes=10)  # rows that stream in may not show in a table's metadata at once
BEFORE, AFTER = timedelta(minutes=1), timedelta(minutes=5)
OUR_LINES = 'resource.labels.service_name=("{worker}" OR "{coordinator}")'


@dataclass(frozen=True)
class Slate:
    """When a night tips off, and how many names with odds meet nobody even through an alias, beside the last night with odds."""

    tip_off: datetime | None
    lined: int
    unresolved: int
    lined_before: int
    unresolved_before: int
    through_alias: int = 0


@dataclass(frozen=True)
class Left:
    """One staging table by its listing."""

    name: str
    created: datetime | None
    expires: datetime | None


@dataclass(frozen=True)
class NightFacts:
    """One night. `ledger` holds the sums of the newest batch of our ledger; None where there is no such batch."""

    game_date: date
    night: Reading[Night]
    slate: Reading[Slate]
    batches: Reading[Batches]
    writes: Reading[DmlReport]
    ledger: Reading[Entry]
    duplicates: Reading[int]
    lines: Reading[int]

    @property
    def newest(self) -> Batch | None:
        return self.batches.value.batches[0] if self.batches.value and self.batches.value.batches else None

    @property
    def live(self) -> bool:
        return self.newest is not None and self.newest.state in LIVE


@dataclass(frozen=True)
class ChannelFacts:
    """Whether messages reach somebody: a channel is set, and what went wrong with the last message, if anything did."""

    is_set: bool
    trouble: str = ""


@dataclass(frozen=True)
class Facts:
    nights: tuple[NightFacts, ...]
    staging: Reading[tuple[Left, ...]]
    worker: Reading[WorkerWidth]
    schedule: Reading[Schedule]
    channel: ChannelFacts

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Every source that could not be read, each once."""
        readings: list[Reading[Any]] = [self.staging, self.worker, self.schedule]
        for n in self.nights:
            readings += [n.night, n.slate, n.batches, n.writes, n.ledger, n.duplicates, n.lines]
        told = [p for r in readings for p in (r.problem, *getattr(r.value, "problems", ())) if p is not None]
        return tuple({problem.source: problem for problem in reversed(told)}.values())


class Memory:
    """The answers of this process's last looks. Each holds while its tables stay as they were, which BigQuery tells for nothing."""

    def __init__(self) -> None:
        self._kept: Kept | None = None
        self._minute: datetime | None = None

    def door(self, cloud: Cloud) -> Cloud:
        """The cloud's doors with that memory, for one look."""
        now = cloud.now()
        minute = now.replace(second=0, microsecond=0)
        if self._kept is None or now - self._kept.bill.since >= KEEP_AT_MOST:
            self._kept = Kept(lambda: cloud.now().timestamp(), now)
        elif minute != self._minute:  # what the log told holds no longer than its minute
            self._kept.look_again()
        self._kept.tables_again()
        self._minute = minute
        return replace(cloud, kept=self._kept)


def read_facts(cloud: Cloud, nights: Iterable[date], channel: ChannelFacts, memory: Memory | None = None) -> Facts:
    """Read everything once; raises nothing: what cannot be read is told as unknown."""
    warehouse = (memory or Memory()).door(cloud)
    return Facts(
        tuple(_night(cloud, warehouse, day) for day in nights),
        ask(cloud, "The list of staging tables", lambda: _left(cloud)),
        ask(cloud, "Cloud Run", lambda: read_worker(cloud)),
        ask(cloud, "Cloud Scheduler", lambda: read_schedule(cloud)),
        channel,
    )


def ask(cloud: Cloud, source: str, read: Callable[[], T]) -> Reading[T]:
    try:
        return Reading(read())
    except OnCallError as error:
        return Reading(None, Problem.of(source, cloud.now(), error))


def _night(cloud: Cloud, warehouse: Cloud, day: date) -> NightFacts:
    now = cloud.now()
    batches = ask(cloud, "The list of batches", lambda: read_batches(warehouse, day))
    newest = batches.value.batches[0] if batches.value and batches.value.batches else None
    start, end = _span(day, newest, now)
    return NightFacts(
        day,
        ask(cloud, "The warehouse", lambda: read_night(warehouse, day)),
        ask(cloud, "The slate", lambda: _slate(warehouse, day)),
        batches,
        ask(cloud, "The job history", lambda: read_writes(cloud, start, min(now, end))),
        ask(cloud, "The ledger", lambda: _entry(warehouse, day, newest)),
        ask(cloud, "The predictions table", lambda: _duplicates(warehouse, day)),
        _lines(cloud, newest, start, min(now, end)),
    )


def _span(day: date, newest: Batch | None, now: datetime) -> tuple[datetime, datetime]:
    """The time that the newest batch answers for; without one, the night so far."""
    start, end = night_window(day)
    if newest is None or newest.started is None:
        return start, max(start, min(now, end))
    return newest.started - BEFORE, max(end, newest.ended or end) + AFTER


def _left(cloud: Cloud) -> tuple[Left, ...]:
    with reading_from("BigQuery tables.list"):
        listed = cloud.bigquery.list_tables(DATASET, page_size=1000, timeout=20)
        tables = [t for t in items_of("BigQuery tables.list", listed) if t.table_id.startswith(STAGING)]
    return tuple(sorted((Left(t.table_id, t.created, t.expires) for t in tables), key=lambda left: left.name))


def _slate(cloud: Cloud, day: date) -> Slate:
    rows = catalog.run(cloud, "watch.slate", first_date=day - timedelta(days=7), last_date=day).rows
    tonight = next((row for row in rows if row["game_date"] == day), None)
    before: Sequence[dict[str, Any]] = [row for row in rows if row["game_date"] < day][-1:]
    lined, unresolved, through_alias = (
        (tonight["lined"], tonight["unresolved"], tonight["through_alias"]) if tonight else (0, 0, 0)
    )
    lined_before, unresolved_before = (before[0]["lined"], before[0]["unresolved"]) if before else (0, 0)
    tip_off = tonight["tip_off"] if tonight else None
    return Slate(tip_off, lined, unresolved, lined_before, unresolved_before, through_alias)


def _entry(cloud: Cloud, day: date, newest: Batch | None) -> Any:
    if newest is None or newest.recorded_in != "ledger":
        return None
    with reading_from("The ledger"):
        return Ledger(cloud).newest(newest.batch_id, day)


def _duplicates(cloud: Cloud, day: date) -> int:
    return int(catalog.run(cloud, "watch.duplicates", game_date=day).rows[0]["duplicate_keys"])


def _lines(cloud: Cloud, newest: Batch | None, start: datetime, end: datetime) -> Any:
    """Whether the services have said anything since the newest batch began; not asked while there is no batch."""
    if newest is None:
        return Reading(0)
    return ask(cloud, "Cloud Logging", lambda: len(logs.read_lines(cloud, OUR_LINES, start, end, limit=1).lines))


def sources_of(facts: Facts) -> tuple[Source, ...]:
    """What was read, for the bill."""
    readings: list[Any] = [r.value for n in facts.nights for r in (n.night, n.batches, n.writes)]
    return tuple(source for value in readings if value is not None for source in value.sources)
