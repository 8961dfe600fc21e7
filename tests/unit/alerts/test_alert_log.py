"""The events of an alert as they are recorded: old values are written, old and new ones are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.alerts.alert_log import WATCHDOG, Event, EventType, _to_event
from services.core.result import Health

NOW = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)


def make_row(event: str) -> Any:
    record = Event("a", 1, event, NOW, WATCHDOG, "writes", None, Health.CRITICAL, "stalled", "Trouble").to_row()
    return {**record, "facts": None}


@pytest.mark.parametrize(
    ("recorded", "event"),
    [
        ("told", EventType.NOTIFIED),
        ("notified", EventType.NOTIFIED),
        ("not told", EventType.NOTIFY_FAILED),
        ("notify_failed", EventType.NOTIFY_FAILED),
        ("telling", EventType.NOTIFYING),
        ("notifying", EventType.NOTIFYING),
        ("mending", EventType.REMEDIATION_STARTED),
        ("remediation_started", EventType.REMEDIATION_STARTED),
        ("opened", EventType.OPENED),
    ],
)
def test_old_and_new_names_of_an_event_are_read(recorded, event):
    assert _to_event(make_row(recorded)).event is event


def test_an_event_of_a_later_version_is_kept_as_recorded():
    assert _to_event(make_row("escalated")).event == "escalated"


def test_events_are_written_with_their_first_names():
    assert [str(event) for event in EventType] == [
        "opened",
        "worsened",
        "reopened",
        "updated",
        "acknowledged",
        "silenced",
        "resolved",
        "mending",
        "telling",
        "told",
        "not told",
    ]
    row = make_row(EventType.NOTIFIED)
    assert (row["event"], type(row["event"])) == ("told", str)
