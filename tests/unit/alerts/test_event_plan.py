"""A remediation is named at its alert once per start, also when an earlier check could not record it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.alerts.alert_log import WATCHDOG, Alert, Event, EventType
from services.alerts.event_plan import plan_remediation_events
from services.alerts.remediation import Remediation, StartedRemediation
from services.core.result import Health
from services.runs.actions import RESUME_BATCH
from tests.support.alert_factories import NIGHT, NOW


def make_alert(*events: Event, cause: str = "run") -> Alert:
    opened = Event("run-1", 1, EventType.OPENED, NOW, WATCHDOG, cause, NIGHT, Health.CRITICAL, "stalled", "Stalled")
    return Alert("run-1", (opened, *events))


def make_started(minutes: float = 0.1, title: str = "Resume b") -> StartedRemediation:
    step = Remediation(RESUME_BATCH, str(NIGHT), {}, "stalled", ("run", NIGHT))
    return StartedRemediation(step, title, NOW + timedelta(minutes=minutes))


def with_event(alert: Alert, event: EventType, minutes: float, **changes: Any) -> Alert:
    return Alert(
        alert.alert_id, (*alert.events, alert.new_event(event, NOW + timedelta(minutes=minutes), WATCHDOG, **changes))
    )


MENDING = with_event(make_alert(), EventType.REMEDIATION_STARTED, 0.1, reason="Resume b")


@pytest.mark.parametrize(
    ("alert", "started", "planned"),
    [
        (make_alert(), make_started(), True),
        (MENDING, make_started(), False),
        (MENDING, make_started(30.2), True),
        (MENDING, make_started(title="Resume c"), True),
        (make_alert(cause="rows"), make_started(), False),
        (make_alert(), make_started(-1), False),
        (with_event(make_alert(), EventType.RESOLVED, 0.05), make_started(), False),
    ],
    ids=["new", "named already", "a later start", "another one", "another alert", "begun before it opened", "ended"],
)
def test_each_start_is_named_once_at_the_open_alert_it_answers(alert, started, planned):
    events = plan_remediation_events((alert,), [started], NOW + timedelta(hours=1))
    assert [(e.event, e.reason) for e in events] == [(EventType.REMEDIATION_STARTED, started.title)] * planned


def test_several_starts_at_one_alert_have_a_number_each():
    """Two events under one number are recorded as one: a message would name the first start only."""
    other = make_alert(cause="rows")
    started = [make_started(), make_started(title="Resume c"), make_started(title="Resume c")]
    events = plan_remediation_events((other, make_alert()), iter(started), NOW)
    assert [(e.sequence, e.reason, e.recorded_at) for e in events] == [(2, "Resume b", NOW), (3, "Resume c", NOW)]
