"""What the benchmark prints is asserted here where it is a count or a ratio, never a time."""

from __future__ import annotations

import pytest

from tests.tools.benchmarks import write_calls, write_cost, write_scale
from tests.tools.benchmarks.write_calls import RunCalls


@pytest.mark.parametrize("units", [158, 1_580, 15_800])
def test_a_batch_of_any_size_is_one_mutating_statement(units):
    assert write_scale.simulate_staged_writes(units).mutating_dml == 1


@pytest.mark.parametrize("units", [158, 1_580, 15_800])
def test_no_per_second_quota_is_used_beyond_half(units):
    peaks = write_scale.simulate_staged_writes(units).peak_pct
    assert max(peaks["jobs.insert 100/s"], peaks["updates of one table 5/10 s"], peaks["DML outstanding 22"]) <= 50


def test_compaction_by_copy_jobs_is_limited_by_the_daily_load_quota():
    assert write_scale.simulate_staged_writes(158_000).refused == "100,000 load jobs a day"


def test_the_object_backend_would_scale_to_a_thousand_times_the_batch():
    assert write_scale.simulate_object_writes(158_000).mutating_dml == 1
    assert write_scale.simulate_object_writes(158_000).peak_pct["load jobs 100,000/day"] < 1


@pytest.mark.parametrize(("units", "times"), [(158, 60), (1_000, 80)])
def test_one_compact_table_is_billed_many_times_less_than_a_union(units, times):
    union_bytes, staged_bytes = write_cost.compute_bytes_billed(units)
    assert union_bytes / staged_bytes >= times


@pytest.mark.parametrize(
    ("run", "failures"),
    [
        (RunCalls(20, 12, {"a": 100, "b": 20}, 1.0, 3_950), []),
        (
            RunCalls(20, 12, {"a": 101, "b": 20}, 1.0, 3_950),
            ["units of 20, 12 at once: 121 calls, at most 120 promised"],
        ),
        (RunCalls(20, 100, {"a": 251}, 1.0, 3_950), ["units of 20, 100 at once: 251 calls, at most 250 promised"]),
        (RunCalls(1, 12, {"a": 1_000}, 1.0, 3_950), []),
        (RunCalls(1, 12, {"a": 1_000}, 1.0, 3_925), ["units of 1, 12 at once: 3,925 of 3,950 rows active"]),
    ],
)
def test_the_count_of_calls_fails_where_a_promise_is_not_kept(run, failures):
    assert write_calls.find_failures([run]) == failures


def test_the_calls_are_compared_for_each_number_of_requests_at_once():
    runs = [RunCalls(1, 12, {"x.get": 300}, 9.0, 3_950), RunCalls(20, 12, {"x.get": 100}, 2.0, 3_950)]
    assert write_calls.format_table(runs).splitlines()[-1] == "12 at once: 3.0 × fewer calls, 4.5 × less time"
