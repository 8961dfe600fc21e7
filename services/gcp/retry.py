"""Retries transient errors: 5 s, doubling, 120 s at most, full jitter, within a time budget."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from google.api_core.retry import Retry
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from services.core.errors import OnCallError
from services.gcp.error_table import ErrorClass, classify_exception

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long: `retries` after the first attempt, within `budget_s` seconds."""

    retries: int = 3
    base_backoff_s: float = 5.0
    max_backoff_s: float = 120.0
    budget_s: float = 600.0
    sleep: Callable[[float], None] = time.sleep
    rng: Callable[[], float] = random.random

    def backoff_s(self, attempt: int) -> float:
        """Seconds before retry number `attempt` (1 is the first): anywhere between 0 and the doubled base."""
        limit_s = min(self.max_backoff_s, self.base_backoff_s * 2.0 ** (attempt - 1))
        return self.rng() * limit_s


def read_options(timeout_s: float) -> dict[str, Any]:
    """`retry` and `timeout` of one read by a client of Cloud Run or Cloud Scheduler, whose own retry lasts up to ten minutes."""
    return {"retry": Retry(timeout=timeout_s), "timeout": timeout_s}


def is_transient(error: BaseException) -> bool:
    """Whether a retry may succeed: rate limits, full queues, server errors, lost connections; never a permanent error."""
    if isinstance(error, OnCallError):
        cause = error.__cause__
        return cause is not None and is_transient(cause)
    return isinstance(error, Exception) and classify_exception(error) is ErrorClass.RETRY


def call_with_retry(policy: RetryPolicy, work: Callable[[], T]) -> T:
    """Call `work`, again while its error is transient and the policy allows; the last error is raised unchanged."""

    def wait(state: RetryCallState) -> float:
        return policy.backoff_s(state.attempt_number)

    attempts = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(policy.retries + 1) | stop_after_delay(policy.budget_s),
        wait=wait,
        sleep=policy.sleep,
        reraise=True,
    )
    return attempts(work)
