"""The platform's limits as rules: no HTTP, time is an argument."""

from __future__ import annotations

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.bigquery.limits import DmlQueue, Limits, RateWindow, check_query_size, simulate_dml_queue

TABLE = PREDICTIONS_TABLE


def test_of_100_concurrent_merges_two_run_and_twenty_wait():
    queue = DmlQueue()
    results = [queue.submit(f"j{n}") for n in range(100)]
    assert (results.count("run"), results.count("wait"), results.count("full")) == (2, 20, 78)
    assert queue.peak == 22


def test_a_finished_statement_lets_the_longest_waiting_one_run():
    queue = DmlQueue()
    for name in ("a", "b", "c", "d"):
        queue.submit(name)
    assert queue.finish("a") == "c"
    assert queue.finish("b") == "d"
    assert queue.finish("c") is None
    assert queue.outstanding == 1


def test_a_removed_pending_statement_frees_its_place():
    queue = DmlQueue()
    for n in range(22):
        queue.submit(f"j{n}")
    queue.finish("j7")
    assert queue.submit("late") == "wait"


def count_accepted(arrivals_s: list[float]) -> int:
    """How many MERGEs of 4.7 s that arrive at these seconds are not rejected; each arrival has one answer."""
    intervals = simulate_dml_queue(arrivals_s, 4.7)
    assert len(intervals) == len(arrivals_s)
    return sum(interval is not None for interval in intervals)


def test_the_handoffs_night_follows_from_the_limit_alone():
    accepted = count_accepted([i * 108 / 158 for i in range(158)])
    assert 0.38 <= accepted / 158 <= 0.48


def test_a_simultaneous_burst_lands_22_whatever_its_size():
    assert count_accepted([0.0] * 158) == 22
    assert count_accepted([0.0] * 158_000) == 22


def test_a_window_drops_entries_older_than_its_length():
    window = RateWindow(2, 10)
    assert [window.try_acquire(t) for t in (0, 1, 2, 9.9)] == [True, True, False, False]
    assert window.try_acquire(10)
    assert not window.try_acquire(10.5)


def test_the_26th_dml_statement_in_ten_seconds_is_refused():
    limits = Limits()
    results = [limits.check_dml_statement(TABLE, True, n * 0.1) for n in range(26)]
    assert results == [None] * 25 + ["dml_rate"]
    assert limits.check_dml_statement(TABLE, True, 10.0) is None


def test_dml_counts_as_a_metadata_update_but_is_not_stopped_by_it():
    limits = Limits()
    for n in range(6):
        assert limits.check_dml_statement("d.plain", False, float(n)) is None
    assert limits.check_metadata_update("d.plain", False, 6.0) == "table_update_rate"


def test_the_sixth_load_into_one_table_in_ten_seconds_is_refused():
    limits = Limits()
    assert [limits.check_write_job("load", "d.t", False, n) for n in range(6)] == [None] * 5 + ["table_update_rate"]
    assert limits.check_write_job("load", "d.other", False, 6) is None


def test_a_partitioned_table_takes_fifty_loads_in_ten_seconds():
    limits = Limits()
    results = [limits.check_write_job("load", "d.t", True, n * 0.1) for n in range(51)]
    assert results == [None] * 50 + ["partitioned_table_update_rate"]


def test_a_table_takes_1500_writes_a_day():
    limits = Limits()
    results = [limits.check_write_job("copy", "d.t", False, n * 3.0) for n in range(1_501)]
    assert results == [None] * 1_500 + ["table_imports_per_day"]
    assert limits.check_write_job("copy", "d.t", False, 86_400.0) is None


@pytest.mark.parametrize(("kind", "key"), [("load", "project_loads_per_day"), ("copy", "project_copies_per_day")])
def test_a_project_takes_100_000_loads_and_as_many_copies_a_day(kind, key):
    limits = Limits()
    results = {limits.check_write_job(kind, f"d.t{n}", False, n * 0.5) for n in range(100_000)}
    assert results == {None}
    assert limits.check_write_job(kind, "d.one_more", False, 50_000.0) == key
    assert limits.check_write_job("copy" if kind == "load" else "load", "d.one_more", False, 50_000.0) is None


def test_a_refused_load_still_counts_for_the_day():
    limits = Limits()
    for n in range(10):
        limits.check_write_job("load", "d.t", False, n * 0.1)
    assert limits.loads.count(1.0) == 10


def test_the_101st_call_of_a_method_in_a_second_is_refused():
    limits = Limits()
    results = [limits.check_api_call("JobService.insertJob", n / 1000) for n in range(101)]
    assert results == [None] * 100 + ["api_rate"]
    assert limits.check_api_call("JobService.listJobs", 0.2) is None
    assert limits.check_api_call("JobService.insertJob", 1.05) is None


@pytest.mark.parametrize(("method", "rate"), [("TableService.insertTable", 10), ("JobService.getJob", 1_000)])
def test_some_methods_have_rates_of_their_own(method, rate):
    limits = Limits()
    assert [limits.check_api_call(method, 0.0) for _ in range(rate + 1)] == [None] * rate + ["api_rate"]


def test_the_61st_log_read_in_a_minute_is_refused():
    limits = Limits()
    assert [limits.check_log_read(n * 0.5) for n in range(61)] == [None] * 60 + ["log_reads"]
    assert limits.check_log_read(60.0) is None


def test_a_query_names_a_thousand_tables_and_no_more():
    assert check_query_size(1_000, 10) is None
    assert check_query_size(1_001, 10) == "too_many_tables"


def test_a_query_of_more_than_1024k_characters_is_too_large():
    assert check_query_size(1, 1_024_000) is None
    assert check_query_size(1, 1_024_001) == "query_too_large"
