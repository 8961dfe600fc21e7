"""Retries: only transient errors, with jitter, within the budget."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as google

from services.gcp.retry import RetryPolicy, call_with_retry, is_transient


def test_transient_errors_are_retried_within_the_budget_and_permanent_ones_never():
    pauses: list[float] = []
    policy = RetryPolicy(retries=3, sleep=pauses.append, rng=lambda: 1.0)

    def failing(error):
        def work():
            raise error

        return work

    with pytest.raises(google.ServiceUnavailable):
        call_with_retry(policy, failing(google.ServiceUnavailable("The service is currently unavailable")))
    assert pauses == [5.0, 10.0, 20.0]
    pauses.clear()
    with pytest.raises(google.BadRequest):
        call_with_retry(policy, failing(google.BadRequest("Syntax error")))
    assert pauses == []


def test_backoff_is_jittered_below_its_cap():
    assert RetryPolicy(rng=lambda: 1.0).backoff_s(12) == 120.0
    assert RetryPolicy(rng=lambda: 0.0).backoff_s(12) == 0.0


def test_a_lost_connection_is_transient_and_a_wrong_value_is_not():
    assert is_transient(ConnectionError("reset"))
    assert not is_transient(ValueError("no"))
