"""When an alert is sent: the rate limit of a flapping one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.alerts.alert_log import WATCHDOG, Alert, Event
from services.alerts.notification import MAX_MESSAGES_PER_HOUR, within_rate_limit
from services.core.result import Health


def make_alert(number, now, event="opened"):
    fields = (event, now, WATCHDOG, f"cause{number}", None, Health.CRITICAL, "stalled", f"Trouble {number}")
    return Alert(f"cause{number}-x", (Event(f"cause{number}-x", 1, *fields),))


def test_a_flapping_alert_notifies_six_times_an_hour_and_then_every_ten_minutes():
    now = datetime(2025, 12, 29, 20, 0, tzinfo=UTC)
    flapping = make_alert(1, now)
    for minute in range(MAX_MESSAGES_PER_HOUR):
        sent_at = now + timedelta(minutes=minute)
        assert within_rate_limit([flapping], sent_at)
        notified = flapping.new_event("told", sent_at, WATCHDOG, notification_id=f"m{minute}")
        flapping = Alert(flapping.alert_id, (*flapping.events, notified))
    last_sent = now + timedelta(minutes=MAX_MESSAGES_PER_HOUR - 1)
    assert not within_rate_limit([flapping], last_sent + timedelta(minutes=9))
    assert within_rate_limit([flapping], last_sent + timedelta(minutes=10)), (
        "another alert does not wait for the end of the hour"
    )
