"""Actions that try a channel: a test message to the first, a test page to the second. Recorded like any other, under no alert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.alerts.actions import CHANGES
from services.alerts.alert_log import TEST_MESSAGE, TEST_PAGE, WATCHDOG, Alert, Event, EventType, append_event
from services.alerts.channels import channel_configured, open_channel, open_pager
from services.alerts.escalation import dedup_key, page_outcome
from services.alerts.notification import delivery_event
from services.alerts.pager import Page, PageAction, pager_configured
from services.alerts.transport import Delivery
from services.core.result import Health
from services.core.settings import Settings
from services.gcp.clients import Clients


@dataclass(frozen=True)
class _Channel:
    """One channel that can be tried. `send` returns how it went, and the event that records it."""

    cause: str  # of the record of its test
    target: str
    variable: str  # that sets it
    change: Change
    cost: str
    warnings: tuple[str, ...]
    is_configured: Callable[[Settings], bool]
    send: Callable[[ActionContext, Alert], tuple[Delivery, Event]]


def _plan(name: str, title: str, channel: _Channel, clients: Clients, args: Params) -> Plan:
    now, is_configured = clients.now(), channel.is_configured(clients.settings)
    sender_text = "now" if is_configured else "by the watchdog"
    set_text = "set" if is_configured else "not set here; the watchdog sends it"
    return Plan(
        action_name=name,
        target=channel.target,
        title=title,
        args=dict(args),
        preconditions={
            "channel": "set here" if is_configured else "the watchdog's",
            "minute": now.replace(second=0, microsecond=0).isoformat(),
        },
        changes=(Change(channel.change.what, channel.change.before, f"{channel.change.after} {sender_text}"),),
        guards=(Guard("channel", True, f"{channel.variable} is {set_text}."),),
        planned_at=now,
        undo="A sent message can't be undone.",
        cost=channel.cost,
        warnings=channel.warnings,
    )


def _apply(channel: _Channel, context: ActionContext) -> Details:
    """The test is recorded like every message, so that the watchdog's channel rule takes it into account."""
    now = context.clients.now()
    opened = _opening(channel, context, now)
    if not channel.is_configured(context.clients.settings):
        append_event(context.clients, opened)
        return {"asked": opened.alert_id}
    alert = Alert(opened.alert_id, (opened,))
    delivery, sent = channel.send(context, alert)
    resolved = Alert(alert.alert_id, (opened, sent)).new_event(EventType.RESOLVED, context.clients.now(), WATCHDOG)
    for event in (opened, sent, resolved):
        append_event(context.clients, event)
    return {"delivered": delivery.ok, "delivery": delivery.detail}


def _opening(channel: _Channel, context: ActionContext, now: datetime) -> Event:
    return Event(
        f"test-{context.action_id}",
        1,
        EventType.OPENED,
        now,
        context.actor.name,
        cause=channel.cause,
        game_date=None,
        severity=Health.OK,
        rule="channel",
        message=f"Test notification from Prediction On-Call (by {context.actor.name}). No action needed.",
    )


def _verify(_clients: Clients, _plan: Plan, details: Details) -> Verification:
    if "asked" in details:
        text = "Queued: the watchdog sends it on its next check (within 60 s). The event history shows the delivery."
        return Verification(ActionState.DONE, text, {})
    if "delivered" not in details:
        return Verification(ActionState.UNVERIFIED, "Delivery not confirmed: check the channel.")
    state = ActionState.DONE if details["delivered"] else ActionState.FAILED
    answer = str(details["delivery"])
    return Verification(state, f"{answer[:1].upper()}{answer[1:]}.", {})


def _send_message(context: ActionContext, alert: Alert) -> tuple[Delivery, Event]:
    clients = context.clients
    delivery = open_channel(clients.settings).send([alert])
    return delivery, delivery_event(alert, delivery, clients.now(), context.action_id)


def _send_page(context: ActionContext, alert: Alert) -> tuple[Delivery, Event]:
    """The watchdog sends the end of it: the record says that a page is open."""
    clients = context.clients
    pager = open_pager(clients.settings)
    page = Page(PageAction.TRIGGER, alert, dedup_key(alert, alert.openings[-1], clients.settings))
    delivery = pager.send(page)
    return delivery, page_outcome(page, delivery, clients.now(), context.action_id, pager.name)


_FIRST = _Channel(
    TEST_MESSAGE,
    "slack",
    "SLACK_WEBHOOK_URL",
    Change("notification", "", "one, marked as a test, sent"),
    "One call to Slack.",
    (),
    channel_configured,
    _send_message,
)
_SECOND = _Channel(
    TEST_PAGE,
    "second channel",
    "The second channel",
    Change("page", "", "one, marked as a test and resolved at the watchdog's next check, sent"),
    "Two calls to the second channel.",
    ("It may page the engineer on call.",),
    pager_configured,
    _send_page,
)


def _action_type(name: str, label: str, channel: _Channel) -> ActionType:
    return ActionType(name, label, partial(_plan, name, label, channel), partial(_apply, channel), _verify, CHANGES)


TEST_NOTIFICATION = _action_type("alerts.test", "Send test notification", _FIRST)
TEST_ESCALATION = _action_type("alerts.test_page", "Send test page", _SECOND)
