"""Escalation: an alert that nobody acknowledged in time goes to the second channel, once per opening, and so do its answer and end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.alerts.alert_log import (
    SECOND_CHANNEL,
    TEST_PAGE,
    WATCHDOG,
    Alert,
    AlertState,
    Event,
    EventType,
    append_event,
)
from services.alerts.channels import open_pager
from services.alerts.deliveries import ESCALATION, record_outcome
from services.alerts.pager import Page, PageAction, PagerTransport
from services.alerts.transport import Delivery
from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp.clients import Clients

_FIRST_NOTIFICATION_EVENTS = (EventType.NOTIFIED, EventType.NOTIFY_FAILED)  # a dead first channel delays no page
_ESCALATION_EVENTS = (EventType.ESCALATING, EventType.ESCALATED, EventType.ESCALATION_FAILED)


def due_page(alert: Alert, settings: Settings, now: datetime) -> Page | None:
    """What the second channel is owed about an alert now; None when nothing, or another watchdog is at it.

    A page is owed its end even where it may not have arrived: the receiver ignores what it does not know.
    """
    if ESCALATION.is_claimed(alert, now) or ESCALATION.is_backing_off(alert, now):
        return None
    *earlier, opening = alert.openings
    for past in (*earlier, opening) if alert.ended else earlier:
        if _is_owed(alert, past, PageAction.RESOLVE, settings):
            return Page(PageAction.RESOLVE, alert, dedup_key(alert, past, settings))
    if alert.ended:
        return None
    key, state = dedup_key(alert, opening, settings), alert.state(now)
    if state is not AlertState.OPEN:
        is_owed = _is_owed(alert, opening, PageAction.ACKNOWLEDGE, settings)
        return Page(PageAction.ACKNOWLEDGE, alert, key) if is_owed else None
    due_at = escalates_at(alert, settings)
    return Page(PageAction.TRIGGER, alert, key) if due_at is not None and due_at <= now else None


def escalates_at(alert: Alert, settings: Settings) -> datetime | None:
    """When an alert goes to the second channel unless somebody acknowledges it; None when never, or it was sent in this opening."""
    opening = alert.openings[-1]
    if alert.ended or _last_sequence(
        alert, dedup_key(alert, opening, settings), PageAction.TRIGGER, EventType.ESCALATED
    ):
        return None
    if alert.cause == TEST_PAGE:
        return opening.recorded_at
    if not settings.escalate_after_min or alert.cause == SECOND_CHANNEL:
        return None
    notified = (e for e in alert.events if e.sequence > opening.sequence and e.event in _FIRST_NOTIFICATION_EVENTS)
    first = next(notified, None)
    return first.recorded_at + timedelta(minutes=settings.escalate_after_min) if first else None


def dedup_key(alert: Alert, opening: Event, settings: Settings) -> str:
    """One opening of an alert, for the second channel: the same from every watchdog, at every attempt."""
    return f"{settings.project}:{alert.alert_id}:{opening.sequence}"


def _is_owed(alert: Alert, opening: Event, action: PageAction, settings: Settings) -> bool:
    """Whether a page that was sent, or may have been, has not yet been followed by this."""
    key = dedup_key(alert, opening, settings)
    followed = _last_sequence(alert, key, action, EventType.ESCALATED)
    return _last_sequence(alert, key, PageAction.TRIGGER, *_ESCALATION_EVENTS) > followed


def _last_sequence(alert: Alert, key: str, action: PageAction, *event_types: EventType) -> int:
    """The number of the newest event about this call; 0 where there is none."""
    return max(
        (e.sequence for e in alert.events if e.event in event_types and _is_about(e, key, action)),
        default=0,
    )


def _is_about(event: Event, key: str, action: PageAction) -> bool:
    return (event.facts.get("dedup_key"), event.facts.get("action")) == (key, action)


def escalate(clients: Clients, alerts: Sequence[Alert]) -> tuple[Delivery, ...]:
    """Send to the second channel what it is owed, each claimed first; how each call went. Raises OnCallError.

    The first that fails is the last: a channel that is down must not hold up the watchdog, and the next check goes on.
    """
    pager, deliveries, errors = open_pager(clients.settings), list[Delivery](), list[OnCallError]()
    for alert in alerts:
        if any(not delivery.ok for delivery in deliveries):
            break
        page = due_page(alert, clients.settings, clients.now())
        try:
            deliveries += _send_claimed(clients, pager, page) if page else ()
        except OnCallError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return tuple(deliveries)


def _send_claimed(clients: Clients, pager: PagerTransport, page: Page) -> tuple[Delivery, ...]:
    """How a page went, once it was claimed; () where another has the number: a watchdog, or whoever changed the alert meanwhile."""
    alert = page.alert
    claim = _page_event(page, EventType.ESCALATING, clients.now(), uuid.uuid4().hex[:12], channel=pager.name)
    if not append_event(clients, claim):
        return ()
    delivery = pager.send(page)
    claimed = replace(page, alert=Alert(alert.alert_id, (*alert.events, claim)))
    record_outcome(clients, page_outcome(claimed, delivery, clients.now(), claim.notification_id, pager.name))
    return (delivery,)


def _page_event(page: Page, event: EventType, now: datetime, notification_id: str, **facts: str) -> Event:
    facts = {"action": str(page.action), "dedup_key": page.dedup_key, **facts}
    return page.alert.new_event(event, now, WATCHDOG, notification_id=notification_id, facts=facts)


def page_outcome(page: Page, delivery: Delivery, now: datetime, notification_id: str, channel: str) -> Event:
    """The event that records how a page went."""
    event = EventType.ESCALATED if delivery.ok else EventType.ESCALATION_FAILED
    return _page_event(page, event, now, notification_id, channel=channel, delivery=delivery.detail)
