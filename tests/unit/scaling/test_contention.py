"""Direct writes are rejected beyond the DML limit; staging makes one statement a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import MAX_CAPACITY
from services.scaling.contention import simulate_contention


@given(st.integers(1, 100), st.integers(1, 80))
def test_direct_writes_beyond_the_dml_limit_are_rejected_at_any_capacity_and_staging_makes_one(instances, requests):
    estimate = simulate_contention(instances, requests)
    assert estimate.direct_outstanding + estimate.direct_rejected == instances * requests
    assert estimate.direct_outstanding <= MAX_OUTSTANDING_DML
    assert estimate.staged_outstanding == 1
    assert MAX_CAPACITY >= MAX_OUTSTANDING_DML
