"""Whether alerts that nobody acknowledges reach a second channel, by its settings here and by what the watchdog has recorded."""

from __future__ import annotations

from collections.abc import Iterator

from services.alerts.alert_log import EventType, read_alerts
from services.alerts.pager import pager_configured
from services.core.clock import format_eastern
from services.core.result import Health
from services.doctor.check_result import CheckResult
from services.gcp.clients import Clients

SUBJECT = "second channel"
_OUTCOMES = (EventType.ESCALATED, EventType.ESCALATION_FAILED)


def check_second_channel(clients: Clients) -> Iterator[CheckResult]:
    """One result; the address and the key may be the watchdog's alone, so what it recorded counts. Raises OnCallError."""
    minutes, is_set = clients.settings.escalate_after_min, pager_configured(clients.settings)
    if not minutes:
        text = "ESCALATE_AFTER_MIN is 0: unacknowledged alerts are not escalated."
        yield CheckResult(SUBJECT, Health.WARNING if is_set else Health.OK, text)
        return
    calls = [event for alert in read_alerts(clients).alerts for event in alert.events if event.event in _OUTCOMES]
    last = max(calls, key=lambda event: event.recorded_at, default=None)
    rule = f"Unacknowledged alerts are escalated after {minutes} min"
    if last is None:
        where = "set here" if is_set else "not set here (the watchdog may have its own setting)"
        yield CheckResult(SUBJECT, Health.UNKNOWN, f"{rule}; {where}, nothing sent yet. Send a test page from Alerts.")
        return
    result = (
        f"{last.facts.get('delivery', last.message)} ({last.recorded_at:%-d %b} {format_eastern(last.recorded_at)})"
    )
    if last.event == EventType.ESCALATED:
        yield CheckResult(SUBJECT, Health.OK, f"{rule}; last call: {result}.")
    else:
        yield CheckResult(SUBJECT, Health.CRITICAL, f"{rule}; last call failed: {result}.")
