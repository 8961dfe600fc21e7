"""The pages' cache: a slow source does not block a page, a failing one is reported with the start of its outage."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.state import background_cache
from services.core.errors import SourceUnavailable
from services.core.freshness import (
    FIRST_LOAD_TIMEOUT_S,
    MAX_OUTDATED_S,
    REVALIDATE_WAIT_S,
    SILENCE_KEPT_S,
    SILENT_WAIT_S,
)
from services.core.result import Problem, Result
from tests.support.fake_monotonic import FakeMonotonic

START = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


class FakeClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture(autouse=True)
def clear_cache(monkeypatch):
    """An empty cache and a page that waits for what is read at once, however busy the machine is."""
    for limit in ("FIRST_LOAD_TIMEOUT_S", "RETRY_TIMEOUT_S"):
        monkeypatch.setattr(background_cache, limit, 30.0)
    background_cache.clear()
    background_cache.start_render()
    yield
    background_cache.clear()


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


def failing_read() -> Any:
    raise SourceUnavailable("Cloud Run did not answer.", "Look again.")


def test_a_successful_read_is_ok(fake_clock):
    reading = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: 4)()
    assert (reading.value, reading.problem) == (4, None)


def test_a_failed_read_has_its_reason_and_its_time(fake_clock):
    reading = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)()
    assert reading.value is None
    assert reading.problem is not None
    assert (reading.problem.message, reading.problem.hint) == ("Cloud Run did not answer.", "Look again.")
    assert reading.problem.since == START


def test_a_failing_source_is_not_retried_at_once(fake_clock):
    calls = []

    def read() -> int:
        calls.append(1)
        return failing_read()

    for _ in range(5):
        background_cache.fetch_async("a", "Cloud Run", fake_clock, read)()
    assert len(calls) == 1


def test_the_start_of_an_outage_survives_every_retry(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "NEGATIVE_TTL_S", -1.0)
    for _ in range(3):
        problem = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().problem
        fake_clock.time += timedelta(minutes=1)
    assert problem is not None
    assert problem.since == START


def test_a_recovered_source_starts_a_new_outage(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "NEGATIVE_TTL_S", -1.0)
    background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)()
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: 4)().ok
    fake_clock.time += timedelta(hours=1)
    outdated = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().outdated
    assert outdated is not None
    assert outdated.since == START + timedelta(hours=1)


def test_a_slow_source_is_reported_and_its_late_result_is_used(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.05)
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Logging", fake_clock, lambda: answered.wait(30) and 4)
    background_cache.start_render()
    slow_result = pending()
    assert slow_result.problem is not None
    assert "Cloud Logging is slow to respond" in slow_result.problem.message
    assert background_cache.rendered_stale()
    answered.set()
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 30.0)
    # The same request, still in flight: a second read is not started.
    assert background_cache.fetch_async("a", "Cloud Logging", fake_clock, failing_read)().value == 4


class SilentFuture(Future):
    """A future that takes no time: waiting for it in vain moves the clock."""

    clock = FakeMonotonic()

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            self.clock.seconds += timeout or 0.0
            raise StillRunning
        return super().result()


@pytest.fixture
def waited(monkeypatch) -> Callable[[], object]:
    """The seconds that this page has waited by now, by a clock that nothing else moves."""
    clock = SilentFuture.clock = FakeMonotonic()
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", FIRST_LOAD_TIMEOUT_S)
    monkeypatch.setattr(background_cache, "Future", SilentFuture)
    monkeypatch.setattr(background_cache, "monotonic", clock)
    background_cache.start_render()
    return lambda: pytest.approx(background_cache._render_state.waited_s)


def test_a_page_waits_for_all_its_silent_sources_together_as_long_as_for_one(fake_clock, waited, hanging):
    for source in ("The action log", "The calendar", "The warehouse", "The ledger", "The job history"):
        pending = background_cache.fetch_async(source, source, fake_clock, hanging)  # begun when the one before gave up
        assert pending().problem is not None
    assert waited() == FIRST_LOAD_TIMEOUT_S


def test_a_page_says_once_what_it_waits_for_and_not_where_the_answer_is_in_time(fake_clock, monkeypatch, hanging):
    notices: list[str] = []
    monkeypatch.setattr(background_cache, "SLOW_NOTICE_S", 0.05)
    background_cache.on_slow(notices.append)
    assert background_cache.fetch_async("quick", "The log", fake_clock, lambda: 1)().value == 1
    assert notices == []
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.2)
    for name in ("The warehouse", "Cloud Run"):
        background_cache.fetch_async(name, name, fake_clock, hanging)()
    assert notices == ["The warehouse"]


@pytest.fixture
def warehouse(request) -> str:
    """A source of this test alone: reads of an earlier test may end during this one."""
    return f"The warehouse of {request.node.name}"


@pytest.fixture
def look(fake_clock, warehouse) -> Callable[..., str]:
    """Opens a new page on a night, and gives what it says of the warehouse; empty when it is known."""

    def look_at(key: str, read: Callable[[], object]) -> str:
        background_cache.start_render()
        problem = background_cache.fetch_async(key, warehouse, fake_clock, read)().problem
        return problem.message if problem else ""

    return look_at


def finish(key: str) -> None:
    while key in background_cache._flights:
        time.sleep(0.001)


def test_a_page_does_not_wait_again_for_a_source_that_answers_nobody(look, warehouse, waited, hanging):
    """Whichever night it shows: a cold page says within a moment that the warehouse does not answer, and since when."""
    look("tonight", hanging)
    assert waited() == FIRST_LOAD_TIMEOUT_S
    SilentFuture.clock.seconds += 20
    assert look("last night", hanging) == f"{warehouse} is slow to respond (22 s)."
    assert waited() == SILENT_WAIT_S


@pytest.mark.parametrize(
    ("seconds", "ends", "limit_s"),
    [
        (20.0, failing_read, SILENT_WAIT_S),  # its client gave up
        (20.0, lambda: 4, FIRST_LOAD_TIMEOUT_S),  # it answered at last
        (0.5, failing_read, FIRST_LOAD_TIMEOUT_S),  # it answered at once, with an error
    ],
)
def test_a_source_is_silent_until_it_answers(look, fake_clock, warehouse, waited, hanging, seconds, ends, limit_s):
    ended = threading.Event()
    background_cache.fetch_async("tonight", warehouse, fake_clock, lambda: ended.wait(30) and ends())
    SilentFuture.clock.seconds += seconds
    ended.set()
    finish("tonight")
    look("last night", hanging)
    assert waited() == limit_s


def test_a_silence_is_forgotten_a_minute_after_the_last_read_that_failed_of_it(
    look, fake_clock, warehouse, waited, hanging
):
    ended = threading.Event()
    background_cache.fetch_async("tonight", warehouse, fake_clock, lambda: ended.wait(30) and failing_read())
    SilentFuture.clock.seconds += 20
    ended.set()
    finish("tonight")
    SilentFuture.clock.seconds += SILENCE_KEPT_S + 1
    look("last night", hanging)
    assert waited() == FIRST_LOAD_TIMEOUT_S


def test_an_answer_that_cannot_be_read_is_its_sources_trouble_and_is_logged(fake_clock, caplog):
    def read_missing_key() -> int:
        empty: dict[str, int] = {}
        return empty["missing"]

    reading = background_cache.fetch_async("a", "The batches", fake_clock, read_missing_key)()
    assert reading.problem is not None
    assert reading.problem.message == "Unexpected response from the batches (KeyError: 'missing')."
    assert "Traceback" in caplog.text


@dataclass(frozen=True)
class PartialResult:
    problems: tuple[Problem, ...]


def test_a_problem_inside_a_result_keeps_its_start_until_it_is_gone(fake_clock):
    def read_problems(*problems: Problem) -> PartialResult:
        result = background_cache.fetch_async("night", "The warehouse", fake_clock, lambda: PartialResult(problems))()
        assert result.value is not None
        return result.value

    later = START + timedelta(minutes=5)
    read_problems(Problem("worker log", START, "down"))
    assert read_problems(Problem("worker log", later, "down")).problems[0].since == START
    read_problems()
    assert read_problems(Problem("worker log", later, "down")).problems[0].since == later


# --- cached results ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_monotonic(monkeypatch) -> FakeMonotonic:
    monotonic = FakeMonotonic()
    monkeypatch.setattr(background_cache, "monotonic", monotonic)
    return monotonic


@pytest.fixture
def hanging():
    """A read that answers only when the test is over."""
    answered = threading.Event()
    yield lambda: answered.wait(30) and "late"
    answered.set()


def answer_late() -> str:
    time.sleep(0.2)
    return "new"


def read_old(fake_clock: FakeClock) -> None:
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "old", ttl_s=30)()


def test_a_fresh_result_is_served_from_the_cache(fake_clock):
    calls = []

    def read() -> int:
        calls.append(1)
        return 4

    for _ in range(3):
        assert background_cache.fetch_async("a", "Cloud Run", fake_clock, read, ttl_s=60)().value == 4
    assert len(calls) == 1


def test_a_stale_result_is_shown_while_it_is_revalidated(fake_clock, fake_monotonic, monkeypatch):
    read_old(fake_clock)
    fake_monotonic.seconds += 45
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30) and "new", ttl_s=30)
    background_cache.start_render()
    assert pending() == Result("old")
    assert background_cache.rendered_stale()
    answered.set()
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read, ttl_s=30)() == Result("new")


def test_a_value_is_outdated_from_the_first_failed_read_on_and_until_one_succeeds(
    fake_clock, fake_monotonic, monkeypatch
):
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    read_old(fake_clock)
    for minute in (1, 2):
        fake_monotonic.seconds += 49
        fake_clock.time = START + timedelta(minutes=minute)
        result = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read, ttl_s=30)()
        assert (result.value, result.problem) == ("old", None)
        assert result.outdated is not None
        assert result.outdated.since == START + timedelta(minutes=1), "the first failure"
        message = f"Cloud Run did not answer; data of 01:45:00 ET, {minute * 49} s old."
        assert (result.outdated.message, result.outdated.hint) == (message, "Look again.")
    fake_monotonic.seconds += 49
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "new", ttl_s=30)() == Result("new")


def test_a_read_that_fails_after_the_page_was_rendered_counts_for_the_next_page(fake_clock, fake_monotonic):
    read_old(fake_clock)
    fake_monotonic.seconds += 31
    answered = threading.Event()

    def fail_late() -> str:
        answered.wait(30)
        return failing_read()

    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, fail_late, ttl_s=30)() == Result("old")
    answered.set()
    while background_cache._flights:
        time.sleep(0.001)
    result = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "read again at once", ttl_s=30)()
    assert result.value == "old"
    assert result.outdated is not None


def test_a_value_older_than_twice_its_freshness_is_outdated_while_its_read_hangs(
    fake_clock, fake_monotonic, monkeypatch, hanging
):
    monkeypatch.setattr(background_cache, "RETRY_TIMEOUT_S", 0.05)
    read_old(fake_clock)
    fake_monotonic.seconds += 45
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, hanging, ttl_s=30)() == Result("old")
    fake_monotonic.seconds += 53
    result = background_cache.fetch_async("a", "Cloud Run", fake_clock, hanging, ttl_s=30)()
    assert result.value == "old"
    assert result.outdated is not None
    assert result.outdated.message == "Cloud Run is slow to respond (53 s); data of 01:45:00 ET, 98 s old."


def test_a_value_older_than_twice_its_freshness_is_waited_for(fake_clock, fake_monotonic):
    read_old(fake_clock)
    fake_monotonic.seconds += 600
    result = background_cache.fetch_async("a", "Cloud Run", fake_clock, answer_late, ttl_s=30)()
    assert result == Result("new")


@pytest.mark.parametrize("hangs", [False, True])
def test_a_value_beyond_its_maximum_age_is_unknown(fake_clock, fake_monotonic, monkeypatch, hanging, hangs):
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.05 if hangs else 30.0)
    read_old(fake_clock)
    fake_monotonic.seconds += MAX_OUTDATED_S + 1
    result = background_cache.fetch_async("a", "Cloud Run", fake_clock, hanging if hangs else failing_read)()
    assert (result.value, result.outdated) == (None, None)
    assert result.problem is not None


def test_a_hanging_source_keeps_no_thread_from_another(fake_clock, monkeypatch, hanging):
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.01)
    for number in range(50):
        background_cache.fetch_async(("log", number), "Cloud Logging", fake_clock, hanging)
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 30.0)
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: 4)() == Result(4)


def test_a_read_started_before_invalidation_is_not_shown_after_it(fake_clock):
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30) and "before")
    background_cache.clear()
    answered.set()
    pending()
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "after", ttl_s=60)().value == "after"


def test_after_invalidation_a_failing_source_shows_nothing_of_before(fake_clock):
    read_old(fake_clock)
    background_cache.clear()
    result = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read, ttl_s=30)()
    assert (result.value, result.outdated) == (None, None)


def test_the_least_recently_used_entry_is_evicted(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "MAX_ENTRIES", 3)
    for night in range(5):
        background_cache.fetch_async(night, "The warehouse", fake_clock, lambda: "told", ttl_s=60)()
    assert background_cache.fetch_async(4, "The warehouse", fake_clock, lambda: "anew", ttl_s=60)().value == "told"
    assert background_cache.fetch_async(0, "The warehouse", fake_clock, lambda: "anew", ttl_s=60)().value == "anew"


def test_eight_readers_evictions_and_invalidations_disturb_no_read(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "MAX_ENTRIES", 5)

    def read(number: int) -> bool:
        if number % 97 == 0:
            background_cache.clear()
        key, ttl_s = number % 11, (number % 3) * 30.0
        fetch = failing_read if number % 7 == 0 else lambda: PartialResult((Problem("log", START, "down"),) * (key % 2))
        result = background_cache.fetch_async(key, f"source {key % 4}", fake_clock, fetch, ttl_s)()
        return result.value is not None or result.problem is not None

    with ThreadPoolExecutor(8) as readers:
        assert all(readers.map(read, range(4_000)))


def test_a_page_rendered_stale_is_marked_even_when_the_new_result_arrives_in_time(
    fake_clock, fake_monotonic, monkeypatch
):
    read_old(fake_clock)
    fake_monotonic.seconds += 45
    answered = threading.Event()
    background_cache.start_render()
    late = lambda: answered.wait(30) and "new"  # noqa: E731
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, late, ttl_s=30)().value == "old"
    answered.set()
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read, ttl_s=30)().value == "new"
    assert background_cache.rendered_stale()
    background_cache.start_render()
    assert not background_cache.rendered_stale()


def test_all_reads_of_a_page_share_one_revalidation_wait(fake_clock, waited, hanging):
    for key in "ab":
        background_cache.fetch_async(key, "Cloud Run", fake_clock, lambda: "old")
        finish(key)
    SilentFuture.clock.seconds += 45
    for key in "ab":
        assert background_cache.fetch_async(key, "Cloud Run", fake_clock, hanging, ttl_s=30)().value == "old"
    assert waited() == REVALIDATE_WAIT_S


@pytest.mark.parametrize(("age_s", "early"), [(9.0, False), (11.0, True)])
def test_only_a_result_that_is_not_recent_makes_the_page_look_again_early(
    fake_clock, fake_monotonic, hanging, age_s, early
):
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "young")()
    fake_monotonic.seconds += age_s
    background_cache.start_render()
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, hanging, ttl_s=8.0)() == Result("young")
    assert background_cache.rendered_stale() is early


def test_what_was_read_lately_can_be_looked_at_without_reading_it(fake_clock, monkeypatch):
    assert background_cache.peek("p") is None
    answers = iter((4, 5))
    background_cache.fetch_async("p", "Cloud Run", fake_clock, lambda: next(answers))()
    assert (background_cache.peek("p"), list(answers)) == (4, [5])
    monkeypatch.setattr(background_cache, "PEEK_MAX_AGE_S", -1.0)
    assert background_cache.peek("p") is None


def test_a_value_whose_source_failed_since_is_not_looked_at(fake_clock):
    background_cache.fetch_async("p", "Cloud Run", fake_clock, lambda: 4)()
    background_cache.fetch_async("p", "Cloud Run", fake_clock, failing_read)()
    assert background_cache.peek("p") is None
