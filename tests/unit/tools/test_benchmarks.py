"""What the benchmark prints is asserted here where it is a count or a ratio, never a time."""

from __future__ import annotations

import pytest

from tests.tools.benchmarks import write_cost, write_scale


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
