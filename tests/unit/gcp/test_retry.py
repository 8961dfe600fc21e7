"""What is retried, how often, and with which delay."""

from __future__ import annotations

import pytest
from google.api_core import exceptions as google

from services.core.errors import SourceUnavailable
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


def test_retries_end_with_the_budget_and_a_success_ends_them_at_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    policy, calls = RetryPolicy(retries=100, budget_s=30.0, sleep=sleep, rng=lambda: 1.0), []

    def fail() -> None:
        calls.append(now[0])
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):
        call_with_retry(policy, fail)
    assert calls == [0.0, 5.0, 15.0, 35.0], "none begins once 30 s have passed"
    outcomes = [ConnectionError("reset"), None]

    def succeed_at_last() -> str:
        if (error := outcomes.pop(0)) is not None:
            raise error
        return "done"

    assert call_with_retry(policy, succeed_at_last) == "done"


def test_an_error_of_ours_is_as_transient_as_its_cause():
    def raised_from(cause: BaseException | None) -> SourceUnavailable:
        error = SourceUnavailable("BigQuery did not answer.")
        error.__cause__ = cause
        return error

    assert is_transient(raised_from(google.ServiceUnavailable("later")))
    assert is_transient(raised_from(raised_from(ConnectionError())))
    assert not is_transient(raised_from(google.BadRequest("Syntax error")))
    assert not is_transient(raised_from(None))
    assert not is_transient(KeyboardInterrupt())


def test_the_policy_of_the_write_path_is_three_retries_from_five_seconds_within_ten_minutes():
    policy = RetryPolicy(rng=lambda: 0.5)
    assert (policy.retries, policy.budget_s) == (3, 600.0)
    assert [policy.backoff_s(n) for n in (1, 2, 3, 6, 7)] == [2.5, 5.0, 10.0, 60.0, 60.0]
