"""Asks each source in the background, waits a little, and remembers since when a source has been unreadable.

A slow source must not hold up the page, a dead one must not be asked by every viewer at once, and the failure's first
moment must survive the page's refreshes. So: one question in flight per source and arguments, whoever looks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any, TypeVar, cast

from services.foundation.errors import OnCallError
from services.foundation.reading import Problem, Reading

T = TypeVar("T")

PATIENCE_S = 6.0  # how long a page waits for a source before it says so and goes on
PATIENCE_AGAIN_S = 1.5  # the same for a source that failed the last time
RETRY_AFTER_S = 10.0  # how soon a source that failed is asked again

_threads = ThreadPoolExecutor(max_workers=24, thread_name_prefix="read")
_lock = Lock()
_asked: dict[Hashable, _Asked] = {}
_gaps: dict[Hashable, dict[str, datetime]] = {}  # question → unreadable part → since when


@dataclass(frozen=True)
class _Asked:
    """A question under way or answered with a failure. `problem` is the failure that lasts, with its first moment."""

    answer: Future[Any]
    begun_s: float
    begun_at: datetime
    problem: Problem | None = None

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.begun_s


def begin(key: Hashable, source: str, now: Callable[[], datetime], ask: Callable[[], T]) -> Callable[[], Reading[T]]:
    """Ask in the background; what is returned waits for the answer, or says since when there is none."""
    with _lock:
        held = _asked.get(key)
        if held is None or (held.answer.done() and (held.problem is None or held.age_s > RETRY_AFTER_S)):
            held = _Asked(_threads.submit(ask), time.monotonic(), now(), held.problem if held else None)
            _asked[key] = held
    return lambda: _wait(key, source, held)


def busy() -> bool:
    """Whether any question has been under way for longer than a page waits."""
    with _lock:
        return any(not asked.answer.done() for asked in _asked.values())


def forget() -> None:
    """Drop every remembered failure, so that the next look asks anew."""
    with _lock:
        _asked.clear()
        _gaps.clear()


def _wait(key: Hashable, source: str, asked: _Asked) -> Reading[T]:
    since = asked.problem.since if asked.problem else asked.begun_at
    patience_s = PATIENCE_AGAIN_S if asked.problem else PATIENCE_S
    try:
        value = asked.answer.result(timeout=max(0.0, patience_s - asked.age_s))
    except StillRunning:
        late = f"{source} has not answered for {asked.age_s:.0f} s."
        return Reading(None, Problem(source, since, late, "Still asking; this page looks again by itself."))
    except OnCallError as error:
        problem = Problem.of(source, since, error)
    except Exception as error:  # a fault of ours in one panel must not take the page with it
        logging.getLogger(__name__).exception("%s could not be read", source)
        fault = f"{source} could not be understood ({type(error).__name__})."
        problem = Problem(source, since, fault, "This is a fault of the dashboard: report it with its log.")
    else:
        _settle(key, asked, None)
        return Reading(_with_first_moments(key, value))
    _settle(key, asked, problem)
    return Reading(None, problem)


def _with_first_moments(key: Hashable, value: T) -> T:
    """A fact that was read only in part tells its gaps with their first moment, not that of the latest try."""
    problems: tuple[Problem, ...] = getattr(value, "problems", ())
    with _lock:
        before = _gaps.pop(key, {})
        now = {problem.source: before.get(problem.source, problem.since) for problem in problems}
        if now:
            _gaps[key] = now
    if not now:
        return value
    told = tuple(replace(problem, since=now[problem.source]) for problem in problems)
    return cast(T, replace(cast(Any, value), problems=told))


def _settle(key: Hashable, asked: _Asked, problem: Problem | None) -> None:
    """Remember a failure, forget a question that was answered."""
    with _lock:
        now = _asked.get(key)
        if now is None or now.answer is not asked.answer:
            return
        if problem is None:
            del _asked[key]
        else:
            _asked[key] = replace(asked, problem=problem)
