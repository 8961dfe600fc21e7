"""Runs actions in the background: one thread per action, so a closed tab or a second click changes nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import datetime

from services.actions.log_reader import Action
from services.actions.plan import Plan
from services.core.errors import OnCallError

RETAIN_S = 900  # how long a handle is kept after its action began; the action log keeps it for ever


@dataclass(frozen=True)
class ActionHandle:
    """One action of this process. `future` holds the action as the log has it, once it has ended."""

    key: str
    action_name: str  # the name of its ActionType
    target: str
    title: str
    started_at: datetime
    future: Future[Action]

    @property
    def ended(self) -> bool:
        return self.future.done()

    @property
    def error(self) -> OnCallError | None:
        """Why it has no outcome of its own: denied, refused, not recorded. None while it runs."""
        exception = self.future.exception() if self.future.done() else None
        if exception is None or isinstance(exception, OnCallError):
            return exception
        return OnCallError(
            f"{self.title}: dashboard bug ({type(exception).__name__}).", "Please report it with its log."
        )


class BackgroundRunner:
    """The actions of this process, shared by every session in it. It never touches the screen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: dict[str, ActionHandle] = {}

    def submit(self, plan: Plan, role: str, now: datetime, task: Callable[[], Action]) -> ActionHandle:
        """Begin `task` in the background, or return the handle of the same plan that runs or began since it was made."""
        key = f"{plan.key} {role}"
        with self._lock:
            self._evict_ended(now)
            existing = self._handles.get(key)
            if existing is not None and (not existing.ended or existing.started_at >= plan.planned_at):
                return existing
            handle = self._handles[key] = ActionHandle(key, plan.action_name, plan.target, plan.title, now, Future())
        threading.Thread(target=_run, args=(handle, task), name=f"action {key}", daemon=True).start()
        return handle

    def wait(self, timeout_s: float) -> tuple[ActionHandle, ...]:
        """Wait for the actions that run; those that still run after `timeout_s` seconds."""
        with self._lock:
            handles = tuple(self._handles.values())
        wait((handle.future for handle in handles), timeout_s)
        return tuple(handle for handle in handles if not handle.ended)

    def _evict_ended(self, now: datetime) -> None:
        def expired(handle: ActionHandle) -> bool:
            return handle.ended and (now - handle.started_at).total_seconds() > RETAIN_S

        for key in [key for key, handle in self._handles.items() if expired(handle)]:
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
