"""The pages' cache: reads each source in the background, waits a bounded time, keeps results and the start of each outage.

A slow source must not block the page, a failing one must not be read by every viewer at once, and the start of an outage must
survive the page's refreshes. So: one read in flight per source and arguments, for all viewers; a cached result is shown with its
age while it is read again, and marked as outdated once its source fails or does not answer.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from math import inf
from threading import Lock, local
from time import monotonic
from typing import Any, TypeVar

from services.core.clock import format_eastern
from services.core.errors import OnCallError
from services.core.freshness import (
    FIRST_LOAD_TIMEOUT_S,
    MAX_OUTDATED_S,
    NEGATIVE_TTL_S,
    PEEK_MAX_AGE_S,
    RETRY_TIMEOUT_S,
    REVALIDATE_WAIT_S,
    SILENCE_KEPT_S,
    SILENT_WAIT_S,
    SLOW_NOTICE_S,
    STALE_WITHOUT_RERUN_S,
)
from services.core.result import Problem, Result

T = TypeVar("T")

MAX_ENTRIES = 300
READS_PER_SOURCE = 4  # at once; a source that hangs keeps only its own threads busy

_lock = Lock()  # guards the three below; their values never change
_flights: dict[Hashable, _Flight] = {}
_silences: dict[str, _Flight] = {}  # by source: the first read since it last answered
_entries: OrderedDict[Hashable, _Entry] = OrderedDict()
_render_state = local()


@dataclass(frozen=True)
class _Entry:
    """The last value of a key and, where its source failed since, the problem, dated by the first failure."""

    value: Any = None
    read_at: datetime | None = None  # when the value's read began; None without a value
    started_s: float = -inf  # the same in monotonic seconds
    problem: Problem | None = None
    failed_s: float = -inf

    @property
    def age_s(self) -> float:
        return monotonic() - self.started_s


@dataclass(frozen=True)
class _Flight:
    """A read in flight. `given_up_s`: when it, or a later read of its source, failed after a wait."""

    source: str
    outcome: Future[_Entry]
    started_s: float
    started_at: datetime
    given_up_s: float = inf

    @property
    def age_s(self) -> float:
        return monotonic() - self.started_s


_NOT_READ = _Entry()


def fetch_async(
    key: Hashable, source: str, now: Callable[[], datetime], fetch: Callable[[], T], ttl_s: float = 0.0
) -> Callable[[], Result[T]]:
    """Read in the background unless the last value is at most `ttl_s` old.

    The returned function waits for the value; without one it returns a Result with a Problem that says since when. A value is
    `outdated` from the first failed read on, and when it is older than twice `ttl_s` while its read does not answer.
    """
    with _lock:
        entry = _entries.get(key, _NOT_READ)
        if entry is not _NOT_READ:
            _entries.move_to_end(key)
        flight = _flights.get(key)
        if flight is None and entry.age_s > ttl_s and monotonic() - entry.failed_s > NEGATIVE_TTL_S:
            flight = _flights[key] = _Flight(source, Future(), monotonic(), now())
            if monotonic() - _silences.get(source, flight).given_up_s > SILENCE_KEPT_S:
                del _silences[source]
            _silences.setdefault(source, flight)
            _executor(source).submit(_read, key, flight, fetch)
        if flight is None or entry.age_s <= ttl_s:
            return lambda: _to_result(entry)
    return lambda: _wait(flight, entry, ttl_s)


def start_render() -> None:
    """This thread begins to render a page."""
    _render_state.stale, _render_state.waited_s, _render_state.mentioned = False, 0.0, set()
    _render_state.on_slow = None


def on_slow(notify: Callable[[str], object]) -> None:
    """`notify` is called once, with the source's name, when this thread's page has waited for SLOW_NOTICE_S."""
    _render_state.on_slow = notify


def rendered_stale() -> bool:
    """Whether this thread's page was rendered with a stale result, or without one, while its read is in flight."""
    return getattr(_render_state, "stale", False)


def mention_once(source: str) -> bool:
    """Whether this thread's page has not yet said that a source's values are outdated; from now on it has."""
    mentioned: set[str] = _render_state.__dict__.setdefault("mentioned", set())
    if source in mentioned:
        return False
    mentioned.add(source)
    return True


def any_mentioned() -> bool:
    """Whether this thread's page has said of any source that its values are outdated."""
    return bool(_render_state.__dict__.get("mentioned"))


def peek(key: Hashable) -> Any:
    """The last value of a key, without reading it; None where it is older than PEEK_MAX_AGE_S, or its source failed since."""
    with _lock:
        entry = _entries.get(key, _NOT_READ)
    return entry.value if entry.problem is None and entry.age_s <= PEEK_MAX_AGE_S else None


def drop(is_touched: Callable[[Any], object]) -> None:
    """Drop the results and failures of these keys, so that the next rerun reads them again; what is in flight is not kept."""
    with _lock:
        for cached in (_flights, _entries):
            for key in [key for key in cached if is_touched(key)]:
                del cached[key]


def clear() -> None:
    """Drop every result and every failure."""
    drop(lambda _: True)
    _silences.clear()


@cache
def _executor(source: str) -> ThreadPoolExecutor:
    """The threads of one source. Call under the lock."""
    return ThreadPoolExecutor(READS_PER_SOURCE, f"read {source}")


def _read(key: Hashable, flight: _Flight, fetch: Callable[[], Any]) -> None:
    """Read and keep the outcome, unless the cache was cleared meanwhile: it may be older than the action that cleared it."""
    value, problem, source = None, None, flight.source
    try:
        value = fetch()
    except OnCallError as error:
        problem = Problem.from_error(source, flight.started_at, error)
    except Exception as error:  # an answer that no reader expected must not take down the page
        logging.getLogger(__name__).exception("Unexpected response from %s", source)
        message = f"Unexpected response from {source.replace('The ', 'the ', 1)} ({type(error).__name__}: {str(error)[:100]})."
        problem = Problem(source, flight.started_at, message, "If it lasts, report it with the dashboard's log.")
    with _lock:
        if problem is None or flight.age_s < FIRST_LOAD_TIMEOUT_S:
            _silences.pop(source, None)
        elif source in _silences:
            _silences[source] = replace(_silences[source], given_up_s=monotonic())
        is_current = _flights.get(key) is flight
        previous = _entries.get(key, _NOT_READ) if is_current else _NOT_READ
        outcome = _add_failure(previous, problem) if problem else _add_value(previous, value, flight)
        if is_current:
            del _flights[key]
            _entries[key] = outcome
            _entries.move_to_end(key)
            while len(_entries) > MAX_ENTRIES:
                _entries.popitem(last=False)
    flight.outcome.set_result(outcome)


def _add_failure(previous: _Entry, problem: Problem) -> _Entry:
    since = previous.problem.since if previous.problem else problem.since
    return replace(previous, problem=replace(problem, since=since), failed_s=monotonic())


def _add_value(previous: _Entry, value: Any, flight: _Flight) -> _Entry:
    """A value; the problems of a partial one are dated by their first occurrence, not by the latest attempt."""
    earlier = {problem.source: problem.since for problem in getattr(previous.value, "problems", ())}
    problems: tuple[Problem, ...] = getattr(value, "problems", ())
    if any(problem.source in earlier for problem in problems):
        dated = tuple(replace(problem, since=earlier.get(problem.source, problem.since)) for problem in problems)
        value = replace(value, problems=dated)
    return _Entry(value, flight.started_at, flight.started_s)


def _wait(flight: _Flight, entry: _Entry, ttl_s: float) -> Result[T]:
    """The outcome of the read in flight, or what is known without it when it takes too long."""
    overdue, silent = entry.age_s > 2 * ttl_s, _silences.get(flight.source, flight)
    limit_s = _wait_limit_s(entry, overdue)
    if silent is not flight and silent.age_s > limit_s:  # it did not answer others either
        limit_s = min(limit_s, SILENT_WAIT_S)
    try:
        return _to_result(_await(flight, limit_s))
    except StillRunning:
        _render_state.stale = rendered_stale() or entry.age_s > STALE_WITHOUT_RERUN_S
    if overdue and entry.problem is None:
        message = f"{flight.source} is slow to respond ({silent.age_s:.0f} s)."
        hanging = Problem(flight.source, silent.started_at, message, "Retrying automatically.")
        entry = replace(entry, problem=hanging)
    return _to_result(entry)


def _wait_limit_s(entry: _Entry, overdue: bool) -> float:
    """How long a page waits for the next value: briefly where it can show a recent one, or one whose source is known to fail."""
    if entry.age_s <= MAX_OUTDATED_S and (entry.problem is not None or not overdue):
        return REVALIDATE_WAIT_S
    return FIRST_LOAD_TIMEOUT_S if entry.problem is None and entry.age_s > MAX_OUTDATED_S else RETRY_TIMEOUT_S


def _await(flight: _Flight, limit_s: float) -> _Entry:
    """The outcome if it comes within the limit, which all reads of a page share: a dead source must not cost it once each."""
    started_s, waited_s = monotonic(), getattr(_render_state, "waited_s", 0.0)  # 0 where no page is rendered
    timeout_s = max(0.0, limit_s - max(flight.age_s, waited_s))
    try:
        notify, quiet_s = getattr(_render_state, "on_slow", None), max(0.0, SLOW_NOTICE_S - waited_s)
        if notify is not None and timeout_s > quiet_s:
            try:
                return flight.outcome.result(timeout=quiet_s)
            except StillRunning:
                _render_state.on_slow = None
                notify(flight.source)
                timeout_s -= quiet_s
        return flight.outcome.result(timeout=timeout_s)
    finally:
        if hasattr(_render_state, "waited_s"):
            _render_state.waited_s = waited_s + monotonic() - started_s


def _to_result(entry: _Entry) -> Result[Any]:
    problem = entry.problem
    if problem is None or entry.read_at is None or entry.age_s > MAX_OUTDATED_S:
        return Result(None if problem else entry.value, problem)
    age_text = f"data of {format_eastern(entry.read_at, '%H:%M:%S')}, {entry.age_s:.0f} s old"
    return Result(entry.value, outdated=replace(problem, message=f"{problem.message.rstrip('.')}; {age_text}."))
