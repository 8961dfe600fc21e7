"""`make doctor` reports whether alerts reach the second channel, and takes what was never tried for unknown."""

from __future__ import annotations

import pytest

from services.alerts.alert_log import append_event
from services.core.result import Health
from services.doctor.second_channel import check_second_channel
from tests.support.alert_factories import NOW
from tests.unit.alerts.test_notification import after, make_alert

MINUTES, PAGER = {"ESCALATE_AFTER_MIN": "15"}, {"ESCALATION_URL": "https://pager.example/hooks/token"}


@pytest.mark.parametrize(
    ("env", "event", "health", "text"),
    [
        ({}, "", Health.OK, "are not escalated"),
        (PAGER, "", Health.WARNING, "ESCALATE_AFTER_MIN is 0"),
        (MINUTES, "", Health.UNKNOWN, "are escalated after 15 min; not set here"),
        ({**MINUTES, **PAGER}, "", Health.UNKNOWN, "; set here, nothing sent yet"),
        (MINUTES, "escalated", Health.OK, "last call: webhook answered (29 Dec 15:00 ET)."),
        (MINUTES, "not escalated", Health.CRITICAL, "last call failed: webhook answered (29 Dec 15:00 ET)."),
    ],
)
def test_the_second_channel_is_reported_by_its_settings_and_its_last_call(records, env, event, health, text):
    clients = records.clients(env)
    alert = make_alert(1, NOW)
    if event:
        alert = after(alert, (event, 0), facts={"delivery": "webhook answered"})
    for recorded in alert.events:
        append_event(clients, recorded)
    [result] = check_second_channel(clients)
    assert (result.subject, result.health) == ("second channel", health)
    assert text in result.message
    assert "token" not in result.message
