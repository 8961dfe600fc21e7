"""The pages' cache: a slow source does not block a page, a failing one is reported with the start of its outage."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.state import background_cache
from services.core.errors import SourceUnavailable
from services.core.result import Problem

START = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


class FakeClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture(autouse=True)
def clear_cache():
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
    problem = background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().problem
    assert problem is not None
    assert problem.since == START + timedelta(hours=1)


def test_a_slow_source_is_reported_and_its_late_result_is_used(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.05)
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Logging", fake_clock, lambda: answered.wait(30) and 4)
    background_cache.start_render()
    slow_result = pending()
    assert slow_result.problem is not None
    assert "Cloud Logging has not answered" in slow_result.problem.message
    assert background_cache.rendered_stale()
    answered.set()
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 30.0)
    # The same request, still in flight: a second read is not started.
    assert background_cache.fetch_async("a", "Cloud Logging", fake_clock, failing_read)().value == 4


def test_a_bug_in_one_read_does_not_break_the_page(fake_clock):
    def read_missing_key() -> int:
        empty: dict[str, int] = {}
        return empty["missing"]

    reading = background_cache.fetch_async("a", "The batches", fake_clock, read_missing_key)()
    assert reading.problem is not None
    assert "could not be understood (KeyError)" in reading.problem.message


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


def test_a_fresh_result_is_served_from_the_cache(fake_clock):
    calls = []

    def read() -> int:
        calls.append(1)
        return 4

    for _ in range(3):
        assert background_cache.fetch_async("a", "Cloud Run", fake_clock, read, ttl_s=60)().value == 4
    assert len(calls) == 1


def test_a_stale_result_is_shown_while_it_is_revalidated(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 0.05)
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "old")()
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30) and "new")
    monkeypatch.setattr(background_cache, "STALE_WITHOUT_RERUN_S", 0.0)
    background_cache.start_render()
    assert pending().value == "old"
    assert background_cache.rendered_stale()
    answered.set()
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().value == "new"


def test_a_result_beyond_its_maximum_age_is_not_shown(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "FIRST_LOAD_TIMEOUT_S", 0.05)
    monkeypatch.setattr(background_cache, "MAX_STALE_S", -1.0)
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "old")()
    answered = threading.Event()
    assert not background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30))().ok
    answered.set()


def test_a_failing_source_is_unavailable_even_with_an_older_result(fake_clock):
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "old")()
    assert not background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().ok


def test_a_read_started_before_invalidation_is_not_shown_after_it(fake_clock, monkeypatch):
    answered = threading.Event()
    pending = background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30) and "before")
    background_cache.clear()
    answered.set()
    pending()
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "after", ttl_s=60)().value == "after"


def test_the_least_recently_used_entry_is_evicted(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "MAX_ENTRIES", 3)
    for night in range(5):
        background_cache.fetch_async(night, "The warehouse", fake_clock, lambda: "told", ttl_s=60)()
    assert background_cache.fetch_async(4, "The warehouse", fake_clock, lambda: "anew", ttl_s=60)().value == "told"
    assert background_cache.fetch_async(0, "The warehouse", fake_clock, lambda: "anew", ttl_s=60)().value == "anew"


def test_a_page_rendered_stale_is_marked_even_when_the_new_result_arrives_in_time(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "STALE_WITHOUT_RERUN_S", 0.0)
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "old")()
    answered = threading.Event()
    background_cache.start_render()
    assert (
        background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: answered.wait(30) and "new")().value == "old"
    )
    answered.set()
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 30.0)
    assert background_cache.fetch_async("a", "Cloud Run", fake_clock, failing_read)().value == "new"
    assert background_cache.rendered_stale()
    background_cache.start_render()
    assert not background_cache.rendered_stale()


def test_all_reads_of_a_page_share_one_revalidation_wait(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 0.3)
    for key in "ab":
        background_cache.fetch_async(key, "Cloud Run", fake_clock, lambda: "old")()
    released = threading.Event()
    background_cache.start_render()
    assert (
        background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: released.wait(30) and "new")().value == "old"
    )
    assert (
        background_cache.fetch_async("b", "Cloud Run", fake_clock, lambda: released.wait(0.1) or "new")().value == "old"
    ), "not waited for"
    released.set()


def test_a_recent_stale_result_does_not_trigger_a_rerun(fake_clock, monkeypatch):
    monkeypatch.setattr(background_cache, "REVALIDATE_WAIT_S", 0.0)
    background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: "young")()
    released = threading.Event()
    background_cache.start_render()
    assert (
        background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: released.wait(30) and "new")().value
        == "young"
    )
    assert not background_cache.rendered_stale()
    monkeypatch.setattr(background_cache, "STALE_WITHOUT_RERUN_S", 0.0)
    assert (
        background_cache.fetch_async("a", "Cloud Run", fake_clock, lambda: released.wait(30) and "new")().value
        == "young"
    )
    assert background_cache.rendered_stale()
    released.set()
