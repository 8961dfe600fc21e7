"""What one check reads: each source with its own arguments, each failure its own problem, and the cache of several checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.alerts import facts
from services.alerts.facts import ChannelStatus, CheckCache, StagingTableListing, fetch, read_snapshot
from services.batches.reader import Batches
from services.core.errors import OnCallError
from services.core.result import Problem, Result
from services.gcp import query_catalog
from services.gcp.read_cache import ReadCache
from services.nights.coverage import CoverageHistory
from services.telemetry import log_reader
from tests.support.alert_factories import (
    NIGHT,
    NOW,
    SETTINGS,
    STARTED,
    empty_batches,
    make_batch,
    make_batch_record,
    make_night_snapshot,
    make_snapshot,
    ok_result,
)
from tests.support.clock import FixedClock
from tests.support.factories import TIP_OFF
from tests.support.phase_facts import make_phases

NIGHT_START = datetime(2025, 12, 29, 11, 0, tzinfo=UTC)
NIGHT_END = NIGHT_START + timedelta(days=1)
CHANNEL = ChannelStatus(True)


@dataclass(frozen=True)
class CachedClients:
    """Clients with a clock and a cache, and no connection."""

    clock: FixedClock
    settings: Any = SETTINGS
    cache: Any = field(default_factory=lambda: SimpleNamespace(tables=ReadCache().tables))

    @property
    def now(self) -> Callable[[], datetime]:
        return self.clock.now


@pytest.fixture
def clients():
    clients: Any = CachedClients(FixedClock(NOW))
    return clients


class Sources:
    """The readers under a snapshot: what each returns or raises, and the arguments that it was called with."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[Any, ...]] = {}
        self.values: dict[str, Any] = {
            "read_batches": Batches((make_batch(),), ()),
            "read_night": "the night",
            "read_writes_within": "the writes",
            "read_newest_record": make_batch_record(),
            "read_history": CoverageHistory((), ()),
            "read_night_writes": "the writes of the date",
            "read_lines": SimpleNamespace(lines=("a line",)),
            "alerts.duplicate_keys": SimpleNamespace(rows=({"game_date": NIGHT, "duplicate_keys": 3},)),
            "alerts.source_times": SimpleNamespace(rows=()),
            "list_staging_tables": (SimpleNamespace(table_id="_staging_a", created=STARTED, expires=TIP_OFF),),
            "read_worker_capacity": "the worker",
            "read_schedule": "the schedule",
            "compare_jobs": "the jobs",
            "read_service_report": "the services",
            "read_subscription_report": "the subscriptions",
            "read_phases": make_phases(),
        }

    def reader(self, name: str) -> Callable[..., Any]:
        def read(*args: Any, **options: Any) -> Any:
            self.calls[name] = (*args, options) if options else args
            if isinstance(self.values[name], Exception):
                raise self.values[name]
            return self.values[name]

        return read


@pytest.fixture
def sources(monkeypatch):
    sources = Sources()
    for name in (
        "read_batches",
        "read_night",
        "read_writes_within",
        "read_newest_record",
        "read_history",
        "read_night_writes",
        "list_staging_tables",
        "read_worker_capacity",
        "read_schedule",
        "compare_jobs",
        "read_service_report",
        "read_subscription_report",
        "read_phases",
    ):
        monkeypatch.setattr(facts, name, sources.reader(name))
    monkeypatch.setattr(log_reader, "read_lines", sources.reader("read_lines"))
    monkeypatch.setattr(query_catalog, "run_query", lambda c, name, **options: sources.reader(name)(c, **options))
    return sources


def read_one_night(clients: Any) -> Any:
    """The snapshot of one night, and the night in it."""
    snapshot = read_snapshot(clients, [NIGHT], CHANNEL)
    (night,) = snapshot.nights
    return snapshot, night


def test_a_snapshot_holds_what_each_source_answers(clients, sources):
    snapshot, night = read_one_night(clients)
    assert (night.game_date, night.night.value, night.writes.value) == (NIGHT, "the night", "the writes")
    assert (night.batches.value, night.ledger.value) == (Batches((make_batch(),), ()), make_batch_record())
    assert night.lines.value == 1
    assert (snapshot.duplicates.value, snapshot.source_times.value) == ({NIGHT: 3}, ())
    assert snapshot.staging.value == (StagingTableListing("_staging_a", STARTED, TIP_OFF),)
    assert (snapshot.worker.value, snapshot.schedule.value) == ("the worker", "the schedule")
    assert (snapshot.jobs.value, snapshot.services.value) == ("the jobs", "the services")
    assert snapshot.subscriptions.value == "the subscriptions"
    assert (snapshot.channel, snapshot.open_dates.value, snapshot.problems) == (CHANNEL, frozenset(), ())


def test_dates_with_an_open_batch_are_part_of_the_snapshot(clients, sources):
    open_dates = Result(frozenset({NIGHT}))
    assert read_snapshot(clients, [], CHANNEL, None, open_dates).open_dates is open_dates


def test_queries_are_read_through_the_cache_of_the_checks_and_lists_without(clients, sources):
    cache = CheckCache()
    read_snapshot(clients, [NIGHT], CHANNEL, cache)
    cached = cache.cached_clients(clients).cache
    for name in (
        "read_batches",
        "read_night",
        "read_history",
        "read_writes_within",
        "alerts.duplicate_keys",
        "alerts.source_times",
    ):
        assert sources.calls[name][0].cache is cached, name
    for name in ("list_staging_tables", "read_worker_capacity", "read_schedule", "read_lines"):
        assert sources.calls[name][0] is clients, name


def test_each_source_is_asked_about_the_night(clients, sources):
    read_one_night(clients)
    assert sources.calls["read_batches"][1:] == (NIGHT,)
    assert sources.calls["read_night"][1:] == (NIGHT,)
    assert sources.calls["read_newest_record"][1:] == (NIGHT,)
    assert sources.calls["read_history"][1:] == (NIGHT - timedelta(days=21), NIGHT - timedelta(days=1))


def test_duplicates_are_counted_once_for_every_recent_date(clients, sources):
    read_snapshot(clients, [NIGHT, NIGHT - timedelta(days=1)], CHANNEL)
    week = {"first_date": NIGHT - timedelta(days=7), "last_date": NIGHT + timedelta(days=2)}
    assert sources.calls["alerts.duplicate_keys"][1:] == (week,)


def test_writes_and_log_lines_are_read_from_the_batchs_start_until_now(clients, sources):
    read_one_night(clients)
    start = STARTED - timedelta(minutes=1)
    assert sources.calls["read_writes_within"][1:] == (NIGHT, Result(Batches((make_batch(),), ())), (start, NOW))
    assert sources.calls["read_lines"][1:] == (facts.SERVICE_LINES_FILTER, start, NOW, {"limit": 1})


@pytest.mark.parametrize(
    ("ended", "end"),
    [
        (None, NIGHT_END),
        (NIGHT_END - timedelta(hours=1), NIGHT_END),
        (NIGHT_END + timedelta(hours=1), NIGHT_END + timedelta(hours=1)),
    ],
)
def test_a_past_night_is_read_to_its_end_or_that_of_its_batch(clients, sources, ended, end):
    clients.clock.advance(3 * 86_400)
    sources.values["read_batches"] = Batches((make_batch(ended=ended),), ())
    read_one_night(clients)
    assert sources.calls["read_writes_within"][3][1] == end + timedelta(minutes=5)
    assert sources.calls["read_lines"][3] == end + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("at", "end"),
    [
        (NOW, NOW),
        (NIGHT_END + timedelta(days=1), NIGHT_END),
        (NIGHT_START - timedelta(hours=1), NIGHT_START - timedelta(hours=1)),
    ],
)
def test_a_night_without_a_batch_is_read_so_far_and_its_log_not_at_all(clients, sources, at, end):
    clients.clock.at = at
    sources.values["read_batches"] = Batches((), ())
    _, night = read_one_night(clients)
    assert sources.calls["read_writes_within"][3] == (NIGHT_START, end)
    assert night.lines.value == 0
    assert "read_lines" not in sources.calls


def test_a_batch_without_a_start_is_read_from_the_nights(clients, sources):
    sources.values["read_batches"] = Batches((make_batch(started=None),), ())
    read_one_night(clients)
    assert sources.calls["read_writes_within"][3] == (NIGHT_START, NOW)


def test_the_writes_of_earlier_runs_are_read_where_there_are_some(clients, sources):
    _, night = read_one_night(clients)
    assert (night.night_writes, "read_night_writes" in sources.calls) == (night.writes, False)
    sources.values["read_batches"] = Batches((make_batch(), make_batch(batch_id="batch_2")), ())
    _, night = read_one_night(clients)
    assert (night.writes.value, night.night_writes.value) == ("the writes", "the writes of the date")


def test_what_is_usual_is_read_once_in_ten_minutes_and_after_a_failure_at_once(clients, sources):
    cache = CheckCache()
    sources.values["read_history"] = OnCallError("It is away.")
    read_snapshot(clients, [NIGHT], CHANNEL, cache)
    for minutes, read in ((0, True), (9, False), (11, True)):
        sources.calls.clear()
        sources.values["read_history"] = CoverageHistory((), ())
        clients.clock.at = NOW + timedelta(minutes=minutes)
        [night] = read_snapshot(clients, [NIGHT], CHANNEL, cache).nights
        assert (night.usual.ok, "read_history" in sources.calls) == (True, read)


def test_writes_are_read_with_what_keeps_the_batches_unknown(clients, sources):
    sources.values["read_batches"] = OnCallError("No record of batches can be read.")
    _, night = read_one_night(clients)
    assert night.batches.problem is not None
    assert sources.calls["read_writes_within"][2] == night.batches


@pytest.mark.parametrize(
    ("reader", "part", "source"),
    [
        ("read_batches", "batches", "The list of batches"),
        ("read_night", "night", "The warehouse"),
        ("read_history", "usual", "Earlier nights"),
        ("read_writes_within", "writes", "The job history"),
        ("read_newest_record", "ledger", "The ledger"),
        ("alerts.duplicate_keys", "duplicates", "The predictions table"),
        ("alerts.source_times", "source_times", "Odds and context"),
        ("read_lines", "lines", "Cloud Logging"),
        ("list_staging_tables", "staging", "The list of staging tables"),
        ("read_worker_capacity", "worker", "Cloud Run"),
        ("read_schedule", "schedule", "Cloud Scheduler"),
        ("compare_jobs", "jobs", "The job manifest"),
        ("read_service_report", "services", "Cloud Run, the services"),
        ("read_subscription_report", "subscriptions", "Pub/Sub"),
    ],
)
def test_a_source_that_fails_is_unknown_with_its_problem_and_no_other(clients, sources, reader, part, source):
    sources.values[reader] = OnCallError("It is away.", "Ask again.")
    snapshot, night = read_one_night(clients)
    result = getattr(night, part, None) or getattr(snapshot, part)
    assert (result.value, result.problem) == (None, Problem(source, NOW, "It is away.", "Ask again."))
    assert snapshot.problems == (result.problem,)


@pytest.mark.parametrize(
    ("reader", "part", "source"),
    [("read_night", "night", "The warehouse"), ("read_night_writes", "night_writes", "The job history")],
)
def test_an_answer_that_cannot_be_parsed_is_the_sources_trouble(clients, sources, reader, part, source):
    sources.values["read_batches"] = Batches((make_batch(), make_batch(batch_id="batch_2025-12-29_1")), ())
    sources.values[reader] = KeyError("game_date")
    _, night = read_one_night(clients)
    problem = getattr(night, part).problem
    text = f"Unexpected response from {source} (KeyError: 'game_date')."
    assert (problem.source, problem.message) == (source, text)


def test_what_is_no_error_of_a_source_is_not_taken_for_one(clients):
    def read() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fetch(clients, "The source", read)


# --- problems ---------------------------------------------------------------------------------------------------------------


def failed(source: str, message: str) -> Result[Any]:
    return Result(None, Problem(source, NOW, message))


@pytest.mark.parametrize("part", ["night", "batches", "writes", "night_writes", "ledger", "usual", "lines"])
def test_a_problem_of_each_part_of_a_night_is_listed(part):
    night = make_night_snapshot(**{part: failed("The source", "Away.")})
    assert [p.message for p in make_snapshot(night).problems] == ["Away."]


@pytest.mark.parametrize("part", ["staging", "worker", "schedule", "open_dates", "duplicates", "source_times"])
def test_a_problem_of_each_part_of_the_platform_is_listed(part):
    assert [p.message for p in make_snapshot(**{part: failed("The source", "Away.")}).problems] == ["Away."]


def test_a_source_with_several_problems_is_listed_once_with_its_first():
    nights = [make_night_snapshot(usual=failed("Earlier nights", text)) for text in ("first", "second")]
    snapshot = make_snapshot(*nights, worker=failed("Cloud Run", "Away."))
    assert {(p.source, p.message) for p in snapshot.problems} == {("Earlier nights", "first"), ("Cloud Run", "Away.")}


def test_what_was_read_in_part_is_a_problem_too():
    partial = Batches((make_batch(),), (), (Problem("The ledger", NOW, "Half of it."),))
    assert [p.message for p in make_snapshot(make_night_snapshot(batches=ok_result(partial))).problems] == [
        "Half of it."
    ]


@pytest.mark.parametrize(
    ("batches", "live"),
    [
        (empty_batches(), False),
        (failed("The list of batches", "Away."), False),
        (ok_result(Batches((make_batch(),), ())), False),
        (ok_result(Batches((make_batch(state="running"),), ())), True),
    ],
)
def test_a_night_is_live_while_its_newest_batch_is_under_way(batches, live):
    assert make_night_snapshot(batches=batches).has_live_batch is live


# --- the cache of the checks ------------------------------------------------------------------------------------------------


class Calls:
    """A read cache in place of the real one, that keeps how it was made and what was asked of it."""

    def __init__(self, monotonic: Callable[[], float], since: datetime, *, tables: Any) -> None:
        self.monotonic, self.usage, self.tables = monotonic, SimpleNamespace(since=since), tables
        self.calls: list[str] = []

    def invalidate(self) -> None:
        self.calls.append("invalidate")

    def expire_table_versions(self) -> None:
        self.calls.append("expire")


@pytest.fixture
def check(clients, monkeypatch):
    """The read cache of the next check, after so many seconds."""
    monkeypatch.setattr(facts, "ReadCache", Calls)
    cache = CheckCache()

    def run(after_s: float = 0) -> Any:
        clients.clock.advance(after_s)
        return cache.cached_clients(clients).cache

    return run


def test_every_check_asks_anew_whether_tables_changed(check):
    first = check()
    assert check(1) is first
    assert first.calls == ["expire", "expire"]


def test_a_log_search_is_valid_for_its_minute(check):
    first = check()  # at a full minute
    check(59.9)
    assert "invalidate" not in first.calls
    check(0.1)
    assert first.calls == ["expire", "expire", "invalidate", "expire"]


def test_a_cache_is_replaced_after_ten_minutes(check, clients):
    first = check()
    assert check(599.9) is first
    second = check(0.1)
    assert second is not first
    assert (second.calls, second.tables, second.usage.since) == (["expire"], clients.cache.tables, clients.now())
    assert second.monotonic() == clients.now().timestamp()
