"""Alerts: what is wrong, since when, who was notified, who acknowledged it, when it ended. Each event is recorded once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypedDict, cast

from services.core.process_id import PROCESS_ID
from services.core.result import SEVERITY_ORDER, DataSource, Health
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.gcp.insert_job import insert_once
from services.gcp.query_catalog import parse_json_column

RETENTION = timedelta(days=14)  # how long an ended alert is shown
EVENTS_WINDOW = timedelta(days=30)  # whose events are read by their date
MAX_OPEN = timedelta(days=365)  # how long before that an alert may have opened and still be shown
WATCHDOG = "watchdog"
TEST_MESSAGE, TEST_PAGE = TEST_CAUSES = ("test", "test page")  # causes of what is sent to try a channel
FIRST_CHANNEL, SECOND_CHANNEL = "channel", "second channel"  # causes of the alerts that a channel is down


class EventType(StrEnum):
    """What may happen to an alert. The values are those that the alerts table holds since its first release."""

    OPENED = "opened"
    WORSENED = "worsened"
    REOPENED = "reopened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"
    REMEDIATION_STARTED = "mending"
    NOTIFYING = "telling"  # claims the notification, so that of several watchdogs one sends it
    NOTIFIED = "told"
    NOTIFY_FAILED = "not told"
    ESCALATING = "escalating"  # claims the call to the second channel, as NOTIFYING claims a notification
    ESCALATED = "escalated"
    ESCALATION_FAILED = "not escalated"

    @classmethod
    def parse(cls, recorded: str) -> str:
        """The event of a recorded value, old ("told") or new ("notified"); any other value is kept."""
        try:
            return cls(recorded)
        except ValueError:
            return cls.__members__.get(recorded.upper(), recorded)

    @classmethod
    def label(cls, event: str) -> str:
        """How an event is shown; one that a later version added as it was recorded."""
        return _EVENT_LABELS.get(event, event)


_EVENT_LABELS: dict[str, str] = {
    EventType.REMEDIATION_STARTED: "auto-remediation started",
    EventType.NOTIFYING: "sending notification",
    EventType.NOTIFIED: "notified",
    EventType.NOTIFY_FAILED: "notification failed",
    EventType.ESCALATION_FAILED: "escalation failed",
}


class AlertState(StrEnum):
    """The state of an alert."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SILENCED = "silenced"
    RESOLVED = "resolved"


_STATE_BY_EVENT: dict[str, AlertState] = {
    EventType.OPENED: AlertState.OPEN,
    EventType.REOPENED: AlertState.OPEN,
    EventType.ACKNOWLEDGED: AlertState.ACKNOWLEDGED,
    EventType.SILENCED: AlertState.SILENCED,
    EventType.RESOLVED: AlertState.RESOLVED,
}
_COLUMNS = {"message": "sentence", "notification_id": "message_id"}  # where a field's column is not its name
_OPENING_EVENTS = {EventType.OPENED, EventType.REOPENED}
_DESCRIBING_EVENTS = {*_OPENING_EVENTS, EventType.WORSENED, EventType.UPDATED}


class _EventRow(TypedDict):
    """queries/alerts/events.sql."""

    alert_id: str
    sequence: int
    event: str
    recorded_at: datetime
    recorded_by: str
    actor: str
    cause: str
    game_date: date | None
    severity: str
    rule: str
    sentence: str
    reason: str | None
    silent_until: datetime | None
    message_id: str | None
    facts: object  # JSON, as text or parsed


@dataclass(frozen=True)
class Event:
    """One row of an alert's record."""

    alert_id: str
    sequence: int
    event: str  # an EventType; what a later version adds is kept as it was recorded
    recorded_at: datetime
    actor: str
    cause: str
    game_date: date | None
    severity: Health
    rule: str
    message: str
    reason: str = ""
    silent_until: datetime | None = None
    notification_id: str = ""  # of the message that several alerts may share
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded_by: str = PROCESS_ID

    def to_row(self) -> dict[str, Any]:
        """The columns of the alerts table, which keep the names of its first release."""
        row = {_COLUMNS.get(name, name): value for name, value in vars(self).items()}
        return {
            **row,
            "event": str(self.event),
            "severity": str(self.severity),
            "facts": json.dumps(dict(self.facts), default=str),
            "reason": self.reason or None,
            "message_id": self.notification_id or None,
        }


@dataclass(frozen=True)
class Alert:
    """One alert with all its events, oldest first."""

    alert_id: str
    events: tuple[Event, ...]

    @property
    def latest_event(self) -> Event:
        return self.events[-1]

    @property
    def cause(self) -> str:
        return self.events[0].cause

    @property
    def game_date(self) -> date | None:
        return self.events[0].game_date

    @property
    def _latest_description(self) -> Event:
        """The newest event that describes what is wrong. A person who reopens an alert describes nothing."""
        return next(e for e in reversed(self.events) if _describes(e))

    @property
    def severity(self) -> Health:
        return self._latest_description.severity

    @property
    def rule(self) -> str:
        return self._latest_description.rule

    @property
    def message(self) -> str:
        return self._latest_description.message

    @property
    def rule_results(self) -> tuple[Mapping[str, str], ...]:
        return tuple(self._latest_description.facts.get("findings", ()))

    @property
    def hint(self) -> str:
        """What helps; "" for an alert of an earlier version, whose rule's own hint counts."""
        return str(self.rule_results[0].get("hint", "")) if self.rule_results else ""

    @property
    def since(self) -> datetime:
        """When its cause began, as recorded since the watchdog opened it last; where no event says so, that opening."""
        starts = [n for n, e in enumerate(self.events) if e.event in _OPENING_EVENTS and _describes(e)]
        described = [event for event in self.events[starts[-1] :] if _describes(event)]
        causes = [datetime.fromisoformat(since) for event in described if (since := event.facts.get("since"))]
        return min(causes, default=described[0].recorded_at)

    @property
    def openings(self) -> tuple[Event, ...]:
        """The events that opened it, and opened it again, oldest first."""
        return tuple(e for e in self.events if e.event in _OPENING_EVENTS)

    @property
    def opened_at(self) -> datetime:
        """When it opened, or opened again."""
        return self.openings[-1].recorded_at

    @property
    def is_test(self) -> bool:
        """Whether it is a test message or a test page, and no alert."""
        return self.cause in TEST_CAUSES

    @property
    def last_state_change(self) -> Event:
        """The newest event that changed its state."""
        return next(e for e in reversed(self.events) if e.event in _STATE_BY_EVENT)

    def latest(self, event: EventType) -> Event | None:
        return next((e for e in reversed(self.events) if e.event == event), None)

    @property
    def unnotified_events(self) -> tuple[Event, ...]:
        """What happened to it since the last notification."""
        notified = self.latest(EventType.NOTIFIED)
        return tuple(event for event in self.events if notified is None or event.sequence > notified.sequence)

    def state(self, now: datetime) -> AlertState:
        """Its state at `now`; a silence ends by itself."""
        change = self.last_state_change
        if change.event == EventType.SILENCED and change.silent_until is not None and now >= change.silent_until:
            return AlertState.OPEN
        return _STATE_BY_EVENT[change.event]

    @property
    def ended(self) -> bool:
        return self.last_state_change.event == EventType.RESOLVED

    def new_event(self, event: str, now: datetime, actor: str, **changes: Any) -> Event:
        """The event that would come next, about what the newest one is about."""
        description = self._latest_description
        fields = {
            "cause": self.cause,
            "game_date": self.game_date,
            "severity": description.severity,
            "rule": description.rule,
            "message": description.message,
        }
        return Event(self.alert_id, self.latest_event.sequence + 1, event, now, actor, **{**fields, **changes})


@dataclass(frozen=True)
class Alerts:
    """Open alerts of any date, and those that ended within RETENTION."""

    alerts: tuple[Alert, ...]
    source: DataSource

    @property
    def open(self) -> tuple[Alert, ...]:
        """Worst first. A test message is no alert."""
        open_alerts = [alert for alert in self.alerts if not alert.ended and not alert.is_test]
        return tuple(sorted(open_alerts, key=lambda alert: (SEVERITY_ORDER.index(alert.severity), alert.since)))

    def find(self, cause: str, game_date: date | None) -> Alert | None:
        """The alert of a cause and night: the open one, else the last that ended."""
        matches = [a for a in self.alerts if (a.cause, a.game_date) == (cause, game_date)]
        return next((a for a in matches if not a.ended), max(matches, key=lambda a: a.opened_at, default=None))


def _describes(event: Event) -> bool:
    return event.event in _DESCRIBING_EVENTS and (event.event != EventType.REOPENED or bool(event.facts))


def read_alerts(clients: Clients) -> Alerts:
    """Every alert that is open, whatever its date, and those of the last fortnight; raises OnCallError.

    The events of EVENTS_WINDOW are read by date. What was open before that is read once a day: nothing is added to it any more.
    """
    today = clients.now().replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - EVENTS_WINDOW
    result = query_catalog.run_query(clients, "alerts.events", start=start)
    rows = (*_rows_open_before(clients, start), *cast("tuple[_EventRow, ...]", result.rows))
    # An alert that had ended before the window may have a message in it, which says nothing of the alert.
    alerts = [a for a in group_by_alert(map(_to_event, rows)) if any(e.event in _OPENING_EVENTS for e in a.events)]
    shown_since = today - RETENTION
    return Alerts(tuple(a for a in alerts if not a.ended or a.latest_event.recorded_at >= shown_since), result.source)


def _rows_open_before(clients: Clients, start: datetime) -> tuple[_EventRow, ...]:
    def read(known: tuple[_EventRow, ...] | None) -> tuple[_EventRow, ...]:
        if known is not None:
            return known
        result = query_catalog.run_query(clients, "alerts.open_before", first=start - MAX_OPEN, until=start)
        return cast("tuple[_EventRow, ...]", result.rows)

    return clients.cache.revised(("alerts.open_before", start), read, len)


def group_by_alert(events: Iterable[Event]) -> tuple[Alert, ...]:
    """The events of each alert as one alert."""
    by_id: dict[str, list[Event]] = {}
    for event in events:
        by_id.setdefault(event.alert_id, []).append(event)
    return tuple(
        Alert(alert_id, tuple(sorted(alert_events, key=lambda e: e.sequence)))
        for alert_id, alert_events in by_id.items()
    )


def append_event(clients: Clients, event: Event) -> bool:
    """Record an event under its number; False when another process has recorded that number. Raises RowsNotInserted."""
    return insert_once(clients, "alerts.append", f"on-call-alert-{event.alert_id}-{event.sequence}", event.to_row())


def _to_event(row: _EventRow) -> Event:
    return Event(
        alert_id=row["alert_id"],
        sequence=row["sequence"],
        event=EventType.parse(row["event"]),
        recorded_at=row["recorded_at"],
        recorded_by=row["recorded_by"],
        actor=row["actor"],
        cause=row["cause"],
        game_date=row["game_date"],
        severity=Health(row["severity"]),
        rule=row["rule"],
        message=row["sentence"],
        reason=row["reason"] or "",
        silent_until=row["silent_until"],
        notification_id=row["message_id"] or "",
        facts=parse_json_column(row["facts"]) or {},
    )
