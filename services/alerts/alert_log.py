"""Alerts: what is wrong, since when, who was told, who took it, and when it ended. Each change of state is claimed once."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from services.actions.log_writer import append_once
from services.core.result import SEVERITY, Health, Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.query_catalog import parsed

HERE = f"{socket.gethostname()}:{os.getpid()}"
KEEP_FOR = timedelta(days=14)  # how long an ended alert stays in sight
WATCHDOG = "watchdog"


class AlertState(StrEnum):
    """Where an alert stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


_STATES = {
    "opened": AlertState.OPEN,
    "reopened": AlertState.OPEN,
    "acknowledged": AlertState.ACKNOWLEDGED,
    "silenced": AlertState.SILENCED,
    "resolved": AlertState.RESOLVED,
}


_SAYS_WHAT = {"opened", "worsened", "reopened", "updated"}


@dataclass(frozen=True)
class Event:
    """One row of an alert's record."""

    alert_id: str
    sequence: int
    event: str
    recorded_at: datetime
    actor: str
    cause: str
    game_date: date | None
    severity: Health
    rule: str
    sentence: str
    reason: str = ""
    silent_until: datetime | None = None
    message_id: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded_by: str = HERE

    def row(self) -> dict[str, Any]:
        told = {**vars(self), "severity": str(self.severity), "facts": json.dumps(dict(self.facts), default=str)}
        return {**told, "reason": self.reason or None, "message_id": self.message_id or None}


@dataclass(frozen=True)
class Alert:
    """One alert with all its events, oldest first."""

    alert_id: str
    events: tuple[Event, ...]

    @property
    def newest(self) -> Event:
        return self.events[-1]

    @property
    def cause(self) -> str:
        return self.events[0].cause

    @property
    def game_date(self) -> date | None:
        return self.events[0].game_date

    @property
    def _told(self) -> Event:
        """The newest event that says what is wrong."""
        return next(e for e in reversed(self.events) if e.event in _SAYS_WHAT)

    @property
    def severity(self) -> Health:
        return self._told.severity

    @property
    def rule(self) -> str:
        return self._told.rule

    @property
    def sentence(self) -> str:
        return self._told.sentence

    @property
    def findings(self) -> tuple[Mapping[str, str], ...]:
        return tuple(self._told.facts.get("findings", ()))

    @property
    def since(self) -> datetime:
        """When it opened, or opened again."""
        return next(e.recorded_at for e in reversed(self.events) if e.event in ("opened", "reopened"))

    @property
    def change(self) -> Event:
        """The newest event that changed its state."""
        return next(e for e in reversed(self.events) if e.event in _STATES)

    def state(self, now: datetime) -> AlertState:
        """Where it stands; a silence ends by itself."""
        change = self.change
        over = change.event == "silenced" and change.silent_until is not None and now >= change.silent_until
        return AlertState.OPEN if over else _STATES[change.event]

    @property
    def ended(self) -> bool:
        return self.change.event == "resolved"

    def next(self, event: str, now: datetime, actor: str, **changes: Any) -> Event:
        """The event that would come next, about what the newest one is about."""
        about = self._told
        told = {
            "cause": self.cause,
            "game_date": self.game_date,
            "severity": about.severity,
            "rule": about.rule,
            "sentence": about.sentence,
        }
        return Event(self.alert_id, self.newest.sequence + 1, event, now, actor, **{**told, **changes})


@dataclass(frozen=True)
class Alerts:
    """Open alerts of any date, and those that ended lately."""

    alerts: tuple[Alert, ...]
    source: Source

    @property
    def open(self) -> tuple[Alert, ...]:
        """Worst first. A test message is no alert."""
        found = [alert for alert in self.alerts if not alert.ended and alert.cause != "test"]
        return tuple(sorted(found, key=lambda alert: (SEVERITY.index(alert.severity), alert.since)))

    def of(self, cause: str, night: date | None) -> Alert | None:
        """The alert of a cause and night: the open one, else the last that ended."""
        of_cause = [a for a in self.alerts if (a.cause, a.game_date) == (cause, night)]
        return next((a for a in of_cause if not a.ended), max(of_cause, key=lambda a: a.since, default=None))


def read_alerts(cloud: Cloud) -> Alerts:
    """Every alert that is open, whatever its date, and those of the last fortnight; raises OnCallError."""
    since = cloud.now().replace(hour=0, minute=0, second=0, microsecond=0) - KEEP_FOR
    answer = catalog.run(cloud, "alerts.events")
    every = fold(map(_event, answer.rows))
    return Alerts(tuple(a for a in every if not a.ended or a.newest.recorded_at >= since), answer.source)


def fold(events: Iterable[Event]) -> tuple[Alert, ...]:
    """The events of each alert as one alert."""
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.alert_id, []).append(event)
    return tuple(Alert(i, tuple(sorted(told, key=lambda e: e.sequence))) for i, told in by_id.items())


def append(cloud: Cloud, event: Event) -> bool:
    """Record an event under its number; False when another process has recorded that number. Raises NotRecorded."""
    return append_once(cloud, f"on-call-alert-{event.alert_id}-{event.sequence}", event.row(), "alerts.append")


def _event(row: Mapping[str, Any]) -> Event:
    told = {name: value for name, value in row.items() if value is not None}
    return Event(
        **{
            **told,
            "game_date": row["game_date"],
            "severity": Health(row["severity"]),
            "facts": parsed(row["facts"]) or {},
        }
    )
