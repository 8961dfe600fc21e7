"""Unchanged tables and past log windows are not read again; changed ones are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.core.clock import night_window, worker_run_days
from services.core.errors import SourceUnavailable
from services.core.freshness import STREAMED_TTL_S, UNTRACKED_TTL_S, VERSION_TTL_S
from services.gcp import query_catalog
from services.gcp.read_cache import MAX_LOG_READS_PER_MIN, ReadCache
from services.policy.eligibility import eligibility_params
from services.sandbox.common.fault_injection import Fault
from services.telemetry import log_phrases, log_reader
from tests.support.clock import FixedClock
from tests.support.fake_monotonic import FakeMonotonic
from tests.support.sandbox import as_developer

NIGHT = date(2025, 12, 29)
RUN_WINDOW = {"from_time": datetime(2025, 12, 28, tzinfo=UTC), "to_time": datetime(2026, 1, 6, tzinfo=UTC)}
LISTABLE_QUERIES: dict[str, dict[str, Any]] = {
    "nights.context": {"game_date": NIGHT},
    "nights.odds": {"game_date": NIGHT},
    "nights.written_rows": {"game_date": NIGHT},
    "staging.prediction_rows": {"game_date": NIGHT},
    "batches.player_outcomes": {"game_date": NIGHT},
    "batches.states_between": {"first_date": NIGHT, "last_date": NIGHT},
    "batches.states_by_date": {"game_date": NIGHT},
    "aliases.all": {},
    "registry.all": {},
    "alerts.events": {"start": RUN_WINDOW["from_time"]},
    "actions.between": {"start": RUN_WINDOW["from_time"], "until": RUN_WINDOW["to_time"]},
}


@pytest.fixture
def fake_monotonic() -> FakeMonotonic:
    return FakeMonotonic()


@pytest.fixture
def caching_clients(clients, fake_monotonic):
    return replace(clients, cache=ReadCache(fake_monotonic))


def run_history_query(clients):
    return query_catalog.run_query(
        clients, "nights.coverage_history", first_date=NIGHT, last_date=NIGHT, **eligibility_params()
    )


def touch_table(clients) -> None:
    """A write that leaves every value as it is, and the table changed."""
    sql = (
        "UPDATE nba_raw.odds_api_player_points_props SET player_name = player_name WHERE game_date = DATE '2025-12-16'"
    )
    as_developer(clients).bigquery.query(sql).result()


# --- answers of the warehouse ---------------------------------------------------------------------------------------------


def test_an_unchanged_table_is_not_queried_again_and_a_cache_hit_is_free(caching_clients, fake_monotonic, meter):
    first = run_history_query(caching_clients)
    bytes_before = meter.bytes_billed
    fake_monotonic.seconds += 3_600
    second = run_history_query(caching_clients)
    assert second.rows == first.rows
    assert (meter.queries, meter.bytes_billed) == (1, bytes_before)
    assert (first.source.bytes_billed, second.source.bytes_billed) == (bytes_before, 0)
    assert second.source.read_at >= first.source.read_at, "it is as fresh as the last look at its tables"


def test_a_changed_table_is_queried_again_once_its_version_is_checked(caching_clients, fake_monotonic, meter):
    run_history_query(caching_clients)
    touch_table(caching_clients)
    assert meter.queries == 2, "the question and the write"
    run_history_query(caching_clients)
    assert meter.queries == 2, "the table was looked at just now"
    fake_monotonic.seconds += VERSION_TTL_S + 1
    run_history_query(caching_clients)
    assert meter.queries == 3


def test_an_action_invalidates_the_cached_versions_at_once(caching_clients, meter):
    run_history_query(caching_clients)
    touch_table(caching_clients)
    caching_clients.cache.invalidate()
    run_history_query(caching_clients)
    assert meter.queries == 3


def test_a_table_version_is_fetched_once_for_many_queries(caching_clients, meter):
    for _ in range(50):
        run_history_query(caching_clients)
    assert meter.calls["bigquery.TableService.getTable"] == 4


def test_worker_runs_are_streamed_so_their_rows_are_cached_for_minutes_and_shown_with_their_age(
    caching_clients, fake_monotonic, meter
):
    def run():
        return query_catalog.run_query(caching_clients, "nights.worker_runs", game_date=NIGHT, **worker_run_days(NIGHT))

    first, second = run(), run()
    assert (meter.queries, len(first.rows)) == (1, 158), "a query, because a listing lacks the streaming buffer"
    assert second.source.read_at == first.source.read_at, "unchanged metadata do not make streamed rows any newer"
    fake_monotonic.seconds += STREAMED_TTL_S + 1
    run()
    assert meter.queries == 2


def test_a_table_replaced_by_a_view_is_read_again_and_the_view_is_never_cached_for_long(fresh_clients, fake_monotonic):
    clients = replace(fresh_clients, cache=ReadCache(fake_monotonic))

    def read_aliases() -> int:
        fake_monotonic.seconds += UNTRACKED_TTL_S + 1
        return len(query_catalog.run_query(clients, "aliases.all").rows)

    def execute(sql: str) -> None:
        clients.bigquery.query(sql, job_retry=None).result()

    aliases = read_aliases()
    execute("CREATE TABLE nba_reference.stored_aliases AS SELECT * FROM nba_reference.player_aliases")
    execute("DROP TABLE nba_reference.player_aliases")
    execute("CREATE VIEW nba_reference.player_aliases AS SELECT * FROM nba_reference.stored_aliases")
    assert read_aliases() == aliases
    execute("DELETE FROM nba_reference.stored_aliases WHERE TRUE")
    assert read_aliases() == 0, "a view does not report that its table has changed"


def test_a_failure_is_not_cached(caching_clients, sandbox, meter):
    sandbox.state.faults.set(Fault("bigquery", "status", status=400))
    try:
        with pytest.raises(Exception, match=r"nights\.coverage_history"):
            run_history_query(caching_clients)
    finally:
        sandbox.state.faults.clear()
    assert run_history_query(caching_clients).rows


# --- the log ---------------------------------------------------------------------------------------------------------------


def test_lines_of_a_past_night_are_read_once(caching_clients, fake_monotonic, meter):
    start, end = night_window(date(2025, 12, 26))
    for _ in range(3):
        log_reader.read_lines(caching_clients, log_phrases.DML_FILTER, start, end)
        fake_monotonic.seconds += 3_600
    assert sum(count for method, count in meter.calls.items() if method.startswith("logging")) == 1


def test_a_search_over_the_log_quota_is_an_error_and_no_empty_result(caching_clients, fake_monotonic):
    for number in range(MAX_LOG_READS_PER_MIN):
        caching_clients.cache.cached_log_lines((number,), 60.0, lambda: "lines", lambda _: 1)
    with pytest.raises(SourceUnavailable, match=r"read limit is reached \(30/min\)"):
        caching_clients.cache.cached_log_lines(("one more",), 60.0, lambda: "lines", lambda _: 1)
    fake_monotonic.seconds += 60
    assert caching_clients.cache.cached_log_lines(("one more",), 60.0, lambda: "lines", lambda _: 1) == "lines"


def test_all_panels_of_a_night_share_one_log_read(caching_clients, meter):
    from services.batches.reader import read_batches
    from services.nights.player_stages import read_night
    from services.telemetry.dml_jobs import read_writes

    read_night(caching_clients, NIGHT)
    read_batches(caching_clients, NIGHT)
    read_writes(caching_clients, *night_window(NIGHT))
    assert len(caching_clients.cache.usage.log_read_times) == 1


# --- listing ----------------------------------------------------------------------------------------------------------------


def test_the_read_time_of_a_cached_result_is_never_in_the_future(caching_clients, fake_monotonic):
    fixed_clients = replace(caching_clients, clock=FixedClock(caching_clients.now()))
    run_history_query(fixed_clients)
    fake_monotonic.seconds += 2
    assert run_history_query(fixed_clients).source.read_at <= fixed_clients.now() - timedelta(seconds=0)
