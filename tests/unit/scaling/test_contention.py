"""Direct writes are rejected beyond the DML limit; staging makes one statement a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.actions.plan import Confirmation
from services.policy.dml_limits import MAX_OUTSTANDING_DML
from services.scaling.capacity import MAX_CAPACITY
from services.scaling.contention import confirmation_for, simulate_contention


@given(st.integers(1, 100), st.integers(1, 80))
def test_direct_writes_beyond_the_dml_limit_are_rejected_at_any_capacity_and_staging_makes_one(instances, requests):
    estimate = simulate_contention(instances, requests)
    assert estimate.direct_outstanding + estimate.direct_rejected == instances * requests
    assert estimate.direct_outstanding <= MAX_OUTSTANDING_DML
    assert estimate.staged_outstanding == 1
    assert MAX_CAPACITY >= MAX_OUTSTANDING_DML


@pytest.mark.parametrize(
    ("before", "after", "typed"),
    [
        (12, 100, True),
        (12, 22, False),
        (12, 23, True),
        (100, 50, False),  # a change downwards, however far above the limit
        (100, 100, False),
        (12, None, True),  # without a maximum
        (None, 100, False),
    ],
)
def test_beyond_the_dml_limit_the_service_has_to_be_typed(before, after, typed):
    expected = (Confirmation.TYPED, "worker") if typed else (Confirmation.ONE_CLICK, "")
    assert confirmation_for(before, after, "worker") == expected
