"""Runs actions beside the screen: one thread per action, whoever clicked, so a closed tab or a second click changes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from services.actions.log_reader import Action
from services.actions.plan import Plan
from services.core.errors import OnCallError

RETAIN_S = 900  # how long an ended action is remembered here; the log remembers it for ever


@dataclass(frozen=True)
class ActionHandle:
    """One action of this process: its key, its title, when it was begun, and its end when it has one."""

    key: str
    title: str
    started_at: datetime
    future: Future[Action]

    @property
    def ended(self) -> bool:
        return self.future.done()

    @property
    def error(self) -> OnCallError | None:
        """Why it did not come to an outcome of its own: denied, refused, not recorded."""
        exception = self.future.exception() if self.future.done() else None
        if exception is None or isinstance(exception, OnCallError):
            return exception
        return OnCallError(
            f"{self.title}: a fault of the dashboard ({type(exception).__name__}).", "Report it with its log."
        )


class BackgroundRunner:
    """The actions of this process, shared by every session in it. It never touches the screen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: dict[str, ActionHandle] = {}

    def submit(self, plan: Plan, role: str, now: datetime, task: Callable[[], Action]) -> ActionHandle:
        """Begin `act` in the background, or return the ticket of the same plan that runs or was begun since it was made."""
        key = f"{plan.key} {role}"
        with self._lock:
            self._evict_ended(now)
            existing = self._handles.get(key)
            if existing is not None and (not existing.ended or existing.started_at >= plan.planned_at):
                return existing
            handle = self._handles[key] = ActionHandle(key, plan.title, now, Future())
        threading.Thread(target=_run, args=(handle, task), name=f"action {key}", daemon=True).start()
        return handle

    def get(self, key: str) -> ActionHandle | None:
        with self._lock:
            return self._handles.get(key)

    def _evict_ended(self, now: datetime) -> None:
        expired = [k for k, t in self._handles.items() if t.ended and (now - t.started_at).total_seconds() > RETAIN_S]
        for key in expired:
            del self._handles[key]


def _run(handle: ActionHandle, task: Callable[[], Action]) -> None:
    try:
        handle.future.set_result(task())
    except OnCallError as error:
        handle.future.set_exception(error)
    except BaseException as error:
        logging.getLogger(__name__).exception("%s ended in a fault", handle.title)
        handle.future.set_exception(error)


BACKGROUND = BackgroundRunner()  # the one of this process
