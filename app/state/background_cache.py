"""Asks each source in the background, waits a little, and remembers: what was told, and since when a source has been unreadable.

A slow source must not hold up the page, a dead one must not be asked by every viewer at once, and the failure's first
moment must survive the page's refreshes. So: one question in flight per source and arguments, whoever looks; what was told is shown
with its age while it is asked anew.
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
from services.core.result import Problem, Reading

T = TypeVar("T")

PATIENCE_S = 6.0  # how long a page waits for a source before it says so and goes on
PATIENCE_AGAIN_S = 1.5  # the same for a source that failed the last time
PATIENCE_KNOWN_S = 0.05  # how long a whole page waits for answers of which it can show older ones meanwhile
SHOWN_FOR_S = 300.0  # how old an answer may be to be shown meanwhile
SHOWN_CALMLY_S = 10.0  # how old it may be before the page looks again soon: a slow source must not keep it restless
RETRY_AFTER_S = 10.0  # how soon a source that failed is asked again
MOST_KNOWN = 300

_threads = ThreadPoolExecutor(max_workers=24, thread_name_prefix="read")
_lock = Lock()
_page = local()
_asked: dict[Hashable, _Asked] = {}
_known: OrderedDict[Hashable, _Known] = OrderedDict()
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


@dataclass(frozen=True)
class _Known:
    """What a source told, and when it was asked for that."""

    value: Any
    begun_s: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.begun_s


def begin(
    key: Hashable, source: str, now: Callable[[], datetime], ask: Callable[[], T], fresh_for_s: float = 0.0
) -> Callable[[], Reading[T]]:
    """Ask in the background unless the last answer is fresh; what is returned waits for the answer, or says since when there is none."""
    with _lock:
        known = _known.get(key)
        if known is not None:
            _known.move_to_end(key)
            if known.age_s <= fresh_for_s:
                return lambda: Reading(known.value)
        held = _asked.get(key)
        if held is None or (held.answer.done() and (held.problem is None or held.age_s > RETRY_AFTER_S)):
            held = _Asked(_threads.submit(ask), time.monotonic(), now(), held.problem if held else None)
            _asked[key] = held
    held.answer.add_done_callback(lambda _: _remember(key, held))
    return lambda: _wait(key, source, held, known)


def new_page() -> None:
    """This thread begins to draw a page."""
    _page.waits, _page.waited_s = False, 0.0


def waits() -> bool:
    """Whether this thread's page was drawn with an answer of some age, or without one, while its question is under way."""
    return getattr(_page, "waits", False)


def forget() -> None:
    """Drop every answer and every failure, so that the next look asks anew."""
    with _lock:
        _asked.clear()
        _known.clear()
        _gaps.clear()


def _remember(key: Hashable, asked: _Asked) -> None:
    """Keep an answer, unless everything was forgotten while it was under way: it may be from before."""
    with _lock:
        now = _asked.get(key)
        if now is None or now.answer is not asked.answer or asked.answer.exception() is not None:
            return
        _known[key] = _Known(_with_first_moments(key, asked.answer.result()), asked.begun_s)
        _known.move_to_end(key)
        while len(_known) > MOST_KNOWN:
            _known.popitem(last=False)
        del _asked[key]


def _wait(key: Hashable, source: str, asked: _Asked, known: _Known | None) -> Reading[T]:
    since = asked.problem.since if asked.problem else asked.begun_at
    meanwhile = known if known is not None and known.age_s <= SHOWN_FOR_S and asked.problem is None else None
    try:
        value = _known_soon(asked) if meanwhile else _answered(asked)
    except StillRunning:
        _page.waits = waits() or meanwhile is None or meanwhile.age_s > SHOWN_CALMLY_S
        if meanwhile is not None:
            return Reading(meanwhile.value)
        late = f"{source} has not answered for {asked.age_s:.0f} s."
        return Reading(None, Problem(source, since, late, "Still asking; this page looks again by itself."))
    except OnCallError as error:
        problem = Problem.of(source, since, error)
    except Exception as error:  # a fault of ours in one panel must not take the page with it
        logging.getLogger(__name__).exception("%s could not be read", source)
        fault = f"{source} could not be understood ({type(error).__name__})."
        problem = Problem(source, since, fault, "This is a fault of the dashboard: report it with its log.")
    else:
        with _lock:
            now = _known.get(key)
        return Reading(now.value if now is not None and now.begun_s == asked.begun_s else value)
    _failed(key, asked, problem)
    return Reading(None, problem)


def _answered(asked: _Asked) -> Any:
    patience_s = PATIENCE_AGAIN_S if asked.problem else PATIENCE_S
    return asked.answer.result(timeout=max(0.0, patience_s - asked.age_s))


def _known_soon(asked: _Asked) -> Any:
    """The answer if it comes at once; all of a page's questions share the little that it waits."""
    begun, waited_s = time.monotonic(), getattr(_page, "waited_s", 0.0)
    try:
        return asked.answer.result(timeout=max(0.0, PATIENCE_KNOWN_S - max(asked.age_s, waited_s)))
    finally:
        _page.waited_s = waited_s + time.monotonic() - begun


def _with_first_moments(key: Hashable, value: T) -> T:
    """A fact that was read only in part tells its gaps with their first moment, not that of the latest try. Under the lock."""
    problems: tuple[Problem, ...] = getattr(value, "problems", ())
    before = _gaps.pop(key, {})
    now = {problem.source: before.get(problem.source, problem.since) for problem in problems}
    if not now:
        return value
    _gaps[key] = now
    told = tuple(replace(problem, since=now[problem.source]) for problem in problems)
    return cast(T, replace(cast(Any, value), problems=told))


def _failed(key: Hashable, asked: _Asked, problem: Problem) -> None:
    """Remember a failure with its first moment."""
    with _lock:
        now = _asked.get(key)
        if now is not None and now.answer is asked.answer:
            _asked[key] = replace(asked, problem=problem)
            _known.pop(key, None)
