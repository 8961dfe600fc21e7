"""How long a call waits for its permit: half of each quota, evenly spaced, per method and table."""

from __future__ import annotations

import pytest

from services.pipeline.rate_limiter import QUOTA_FRACTION, QUOTA_PER_S, RateLimiter


class Time:
    """A clock that sleeping advances."""

    def __init__(self) -> None:
        self.now, self.pauses = 100.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 6))
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limiter(time: Time) -> RateLimiter:
    return RateLimiter({"get": 1 / QUOTA_FRACTION, "update": 0.5 / QUOTA_FRACTION}, lambda: time.now, time.sleep)


def test_permits_are_evenly_spaced_at_their_share_of_the_quota(time, limiter):
    for _ in range(3):
        limiter.acquire("get")
    assert time.pauses == [1.0, 1.0]
    limiter.acquire("update")
    limiter.acquire("update")
    assert time.pauses == [1.0, 1.0, 2.0], "each method has a quota of its own"


def test_callers_that_come_at_once_wait_for_one_after_the_other():
    pauses = list[float]()
    limiter = RateLimiter({"get": 1 / QUOTA_FRACTION}, lambda: 100.0, pauses.append)
    for _ in range(4):
        limiter.acquire("get")
    assert pauses == [1.0, 2.0, 3.0]


def test_time_that_has_passed_is_not_waited_for_again_nor_saved_up(time, limiter):
    limiter.acquire("get")
    time.now += 60
    limiter.acquire("get")
    assert time.pauses == []
    limiter.acquire("get")
    assert time.pauses == [1.0]


def test_writes_into_another_table_do_not_wait(time, limiter):
    limiter.acquire("update", "a")
    limiter.acquire("update", "b")
    assert time.pauses == []
    limiter.acquire("update", "a")
    assert time.pauses == [2.0]


def test_by_default_every_quota_is_kept_by_less_than_half():
    pauses = list[float]()
    for method, quota in QUOTA_PER_S.items():
        limiter = RateLimiter(clock=lambda: 0.0, sleep=pauses.append)
        limiter.acquire(method)
        limiter.acquire(method)
        assert pauses.pop() == pytest.approx(1 / (quota * 0.48))
