"""The pages' cache: reads each source in the background, waits a bounded time, keeps results and the start of each outage.

A slow source must not block the page, a failing one must not be read by every viewer at once, and the start of an outage must
survive the page's refreshes. So: one read in flight per source and arguments, for all viewers; a cached result is shown with its
age while it is read again.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock, local
from typing import Any, TypeVar, cast

from services.core.errors import OnCallError
from services.core.freshness import (
    FIRST_LOAD_TIMEOUT_S,
    MAX_STALE_S,
    NEGATIVE_TTL_S,
    RETRY_TIMEOUT_S,
    REVALIDATE_WAIT_S,
    STALE_WITHOUT_RERUN_S,
)
from services.core.result import Problem, Result

T = TypeVar("T")

MAX_ENTRIES = 300

_executor = ThreadPoolExecutor(max_workers=24, thread_name_prefix="read")
_lock = Lock()
_render_state = local()
_in_flight: dict[Hashable, _InFlight] = {}
_cache: OrderedDict[Hashable, _CacheEntry] = OrderedDict()
_problem_since: dict[Hashable, dict[str, datetime]] = {}  # key → unreadable source → since when


@dataclass(frozen=True)
class _InFlight:
    """A read in flight, or one that failed. `problem` is the lasting failure, dated by its first occurrence."""

    future: Future[Any]
    started_s: float
    started_at: datetime
    problem: Problem | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_s


@dataclass(frozen=True)
class _CacheEntry:
    """A cached result, and when its read began (monotonic seconds)."""

    value: Any
    started_s: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started_s


def fetch_async(
    key: Hashable, source: str, now: Callable[[], datetime], fetch: Callable[[], T], ttl_s: float = 0.0
) -> Callable[[], Result[T]]:
    """Read in the background unless the last result is at most `ttl_s` old.

    The returned function waits for the result; without one it returns a Result with a Problem that says since when.
    """
    with _lock:
        cached = _cache.get(key)
        if cached is not None:
            _cache.move_to_end(key)
            if cached.age_s <= ttl_s:
                return lambda: Result(cached.value)
        in_flight = _in_flight.get(key)
        if in_flight is None or (
            in_flight.future.done() and (in_flight.problem is None or in_flight.age_s > NEGATIVE_TTL_S)
        ):
            in_flight = _InFlight(
                _executor.submit(fetch), time.monotonic(), now(), in_flight.problem if in_flight else None
            )
            _in_flight[key] = in_flight
    in_flight.future.add_done_callback(lambda _: _store(key, in_flight))
    return lambda: _result(key, source, in_flight, cached)


def start_render() -> None:
    """This thread begins to render a page."""
    _render_state.stale, _render_state.waited_s = False, 0.0


def rendered_stale() -> bool:
    """Whether this thread's page was rendered with a stale result, or without one, while its read is in flight."""
    return getattr(_render_state, "stale", False)


def clear() -> None:
    """Drop every result and every failure, so that the next rerun reads everything again."""
    with _lock:
        _in_flight.clear()
        _cache.clear()
        _problem_since.clear()


def _store(key: Hashable, in_flight: _InFlight) -> None:
    """Keep a result, unless the cache was cleared while it was in flight: it may be older than the action that cleared it."""
    with _lock:
        current = _in_flight.get(key)
        if current is None or current.future is not in_flight.future or in_flight.future.exception() is not None:
            return
        _cache[key] = _CacheEntry(_keep_problem_since(key, in_flight.future.result()), in_flight.started_s)
        _cache.move_to_end(key)
        while len(_cache) > MAX_ENTRIES:
            _cache.popitem(last=False)
        del _in_flight[key]


def _result(key: Hashable, source: str, in_flight: _InFlight, cached: _CacheEntry | None) -> Result[T]:
    since = in_flight.problem.since if in_flight.problem else in_flight.started_at
    stale = cached if cached is not None and cached.age_s <= MAX_STALE_S and in_flight.problem is None else None
    try:
        value = _await_revalidation(in_flight) if stale else _await_first(in_flight)
    except StillRunning:
        _render_state.stale = rendered_stale() or stale is None or stale.age_s > STALE_WITHOUT_RERUN_S
        if stale is not None:
            return Result(stale.value)
        message = f"{source} has not answered for {in_flight.age_s:.0f} s."
        return Result(None, Problem(source, since, message, "Still asking; this page looks again by itself."))
    except OnCallError as error:
        problem = Problem.from_error(source, since, error)
    except Exception as error:  # a bug in one panel must not take down the page
        logging.getLogger(__name__).exception("%s could not be read", source)
        bug_message = f"{source} could not be understood ({type(error).__name__})."
        problem = Problem(source, since, bug_message, "This is a fault of the dashboard: report it with its log.")
    else:
        with _lock:
            latest = _cache.get(key)
        return Result(latest.value if latest is not None and latest.started_s == in_flight.started_s else value)
    _store_failure(key, in_flight, problem)
    return Result(None, problem)


def _await_first(in_flight: _InFlight) -> Any:
    timeout_s = RETRY_TIMEOUT_S if in_flight.problem else FIRST_LOAD_TIMEOUT_S
    return in_flight.future.result(timeout=max(0.0, timeout_s - in_flight.age_s))


def _await_revalidation(in_flight: _InFlight) -> Any:
    """The result if it comes within REVALIDATE_WAIT_S; all reads of a page share that wait."""
    started_s, waited_s = time.monotonic(), getattr(_render_state, "waited_s", 0.0)
    try:
        return in_flight.future.result(timeout=max(0.0, REVALIDATE_WAIT_S - max(in_flight.age_s, waited_s)))
    finally:
        _render_state.waited_s = waited_s + time.monotonic() - started_s


def _keep_problem_since(key: Hashable, value: T) -> T:
    """A partial result, its problems dated by their first occurrence, not by the latest attempt. Call under the lock."""
    problems: tuple[Problem, ...] = getattr(value, "problems", ())
    previous = _problem_since.pop(key, {})
    since_by_source = {problem.source: previous.get(problem.source, problem.since) for problem in problems}
    if not since_by_source:
        return value
    _problem_since[key] = since_by_source
    dated_problems = tuple(replace(problem, since=since_by_source[problem.source]) for problem in problems)
    return cast(T, replace(cast(Any, value), problems=dated_problems))


def _store_failure(key: Hashable, in_flight: _InFlight, problem: Problem) -> None:
    """Keep a failure with its first occurrence."""
    with _lock:
        current = _in_flight.get(key)
        if current is not None and current.future is in_flight.future:
            _in_flight[key] = replace(in_flight, problem=problem)
            _cache.pop(key, None)
