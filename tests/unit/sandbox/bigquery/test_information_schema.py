"""Which jobs a statement over a region's JOBS view asks for."""

from __future__ import annotations

import pytest

from services.sandbox.bigquery.information_schema import find_creation_times
from services.sandbox.bigquery.partition_pruning import Bound

NOON_MS = 1_767_009_600_000.0  # 2025-12-29 12:00 UTC


@pytest.mark.parametrize("text", ["2025-12-29T12:00:00+00:00", "2025-12-29 12:00:00 UTC", "2025-12-29 07:00:00-05:00"])
def test_a_bound_is_read_as_the_clients_and_sql_write_it(text):
    bounds = (Bound("creation_time", ">=", value=text), Bound("creation_time", "<", parameter="end"))
    assert find_creation_times(bounds, {"end": text}) == (NOON_MS, NOON_MS)


def test_what_bounds_no_creation_time_leaves_no_job_out():
    bounds = (
        Bound("end_time", ">=", value="2025-12-29 12:00:00 UTC"),
        Bound("creation_time", ">=", parameter="absent"),
    )
    assert find_creation_times(bounds, {}) == (float("-inf"), float("inf"))
