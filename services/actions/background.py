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

KEEP_S = 900  # how long an ended action is remembered here; the log remembers it for ever


@dataclass(frozen=True)
class Ticket:
    """One action of this process: its key, its title, when it was begun, and its end when it has one."""

    key: str
    title: str
    begun: datetime
    end: Future[Action]

    @property
    def ended(self) -> bool:
        return self.end.done()

    @property
    def trouble(self) -> OnCallError | None:
        """Why it did not come to an outcome of its own: denied, refused, not recorded."""
        error = self.end.exception() if self.end.done() else None
        if error is None or isinstance(error, OnCallError):
            return error
        return OnCallError(
            f"{self.title}: a fault of the dashboard ({type(error).__name__}).", "Report it with its log."
        )


class Runner:
    """The actions of this process, shared by every session in it. It never touches the screen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tickets: dict[str, Ticket] = {}

    def submit(self, plan: Plan, as_role: str, now: datetime, act: Callable[[], Action]) -> Ticket:
        """Begin `act` in the background, or return the ticket of the same plan that runs or was begun since it was made."""
        key = f"{plan.key} {as_role}"
        with self._lock:
            self._forget(now)
            known = self._tickets.get(key)
            if known is not None and (not known.ended or known.begun >= plan.planned_at):
                return known
            ticket = self._tickets[key] = Ticket(key, plan.title, now, Future())
        threading.Thread(target=_work, args=(ticket, act), name=f"action {key}", daemon=True).start()
        return ticket

    def ticket(self, key: str) -> Ticket | None:
        with self._lock:
            return self._tickets.get(key)

    def _forget(self, now: datetime) -> None:
        old = [k for k, t in self._tickets.items() if t.ended and (now - t.begun).total_seconds() > KEEP_S]
        for key in old:
            del self._tickets[key]


def _work(ticket: Ticket, act: Callable[[], Action]) -> None:
    try:
        ticket.end.set_result(act())
    except OnCallError as error:
        ticket.end.set_exception(error)
    except BaseException as error:
        logging.getLogger(__name__).exception("%s ended in a fault", ticket.title)
        ticket.end.set_exception(error)


RUNNER = Runner()  # the one of this process
