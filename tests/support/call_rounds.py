"""Counts rounds: how often a read waits for Google one call after the other, whatever each call takes.

    with count_rounds(monkeypatch) as rounds:
        read_night(clients, day)
    assert len(rounds) <= 3

Calls are held until no other is asked, then made together: that is one round. A chain of dependent calls takes as many rounds
as it has calls; independent calls that are asked at the same time take one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

QUIET_S = 0.15  # nobody asks for so long: whoever is going to ask without an answer has asked


class _Gate:
    """Lets the calls of one round through together, and their callers go on together."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self._held: list[str] = []
        self._running, self._changed_at, self._closed = 0, time.monotonic(), False
        self._condition = Condition()

    def enter(self, call: str) -> None:
        with self._condition:
            number = len(self.rounds)
            self._held.append(call)
            self._note_change()
            self._condition.wait_for(lambda: len(self.rounds) > number or self._closed)

    def leave(self) -> None:
        with self._condition:
            self._running -= 1
            self._note_change()
            number = len(self.rounds)
            self._condition.wait_for(lambda: not self._running or len(self.rounds) > number or self._closed)

    def open_rounds(self) -> None:
        with self._condition:
            while not self._closed:
                quiet_s = time.monotonic() - self._changed_at
                if self._held and not self._running and quiet_s >= QUIET_S:
                    self._running = len(self._held)
                    self.rounds.append(self._held)
                    self._held = []
                    self._note_change()
                self._condition.wait(max(0.01, QUIET_S - quiet_s))

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _note_change(self) -> None:
        self._changed_at = time.monotonic()
        self._condition.notify_all()


@contextmanager
def count_rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """The calls of each round, as method and path, of every requests session in this process while it lasts."""
    gate, request = _Gate(), requests.Session.request

    def held_request(session: requests.Session, method: str, url: str, *args: Any, **options: Any) -> requests.Response:
        gate.enter(f"{method} {urlsplit(url).path}")
        try:
            return request(session, method, url, *args, **options)
        finally:
            gate.leave()

    opener = Thread(target=gate.open_rounds, daemon=True)
    with monkeypatch.context() as patch:
        patch.setattr(requests.Session, "request", held_request)
        opener.start()
        try:
            yield gate.rounds
        finally:
            gate.close()
            opener.join()
