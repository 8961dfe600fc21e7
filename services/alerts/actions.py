"""What a person does with an alert: acknowledge, silence, resolve, reopen it, or send a test message. Each is a logged action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, EventType, append_event, read_alerts
from services.alerts.channels import channel_configured, open_channel
from services.alerts.notification import delivery_event
from services.core.clock import format_eastern
from services.core.errors import InvalidInput, OnCallError
from services.core.result import Health
from services.core.sources import ALERTS
from services.gcp.clients import Clients

MAX_SILENCE_MIN = 24 * 60
EVENTS_NEEDING_REASON = {EventType.SILENCED, EventType.RESOLVED}


@dataclass(frozen=True)
class _Transition:
    """One change of state: the event it adds, from which states, to which."""

    event: EventType
    label: str  # of its button
    source_states: frozenset[AlertState]
    target_state: AlertState
    undo: str


_OPEN_STATES = frozenset({AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SILENCED})
_TRANSITIONS = {
    "alerts.acknowledge": _Transition(
        EventType.ACKNOWLEDGED,
        "Take",
        frozenset({AlertState.OPEN}),
        AlertState.ACKNOWLEDGED,
        "Silence, resolve or reopen it.",
    ),
    "alerts.silence": _Transition(
        EventType.SILENCED, "Silence", _OPEN_STATES, AlertState.SILENCED, "It ends by itself; reopening ends it now."
    ),
    "alerts.resolve": _Transition(EventType.RESOLVED, "Resolve", _OPEN_STATES, AlertState.RESOLVED, "Reopen it."),
    "alerts.reopen": _Transition(
        EventType.REOPENED, "Reopen", frozenset(AlertState) - {AlertState.OPEN}, AlertState.OPEN, "Resolve it."
    ),
}


def read_alert(clients: Clients, alert_id: str) -> Alert:
    """One alert; raises InvalidInput when there is none of that id."""
    alert = next((a for a in read_alerts(clients).alerts if a.alert_id == alert_id), None)
    if alert is None:
        raise InvalidInput(f"There is no alert {alert_id!r}.", "Choose one on the alerts page.")
    return alert


def _plan(name: str, clients: Clients, args: Params) -> Plan:
    transition = _TRANSITIONS[name]
    alert, now = read_alert(clients, str(args.get("alert_id") or "")), clients.now()
    state, minutes = alert.state(now), args.get("minutes")
    duration_text = f" for {minutes} min" if transition.event == EventType.SILENCED else ""
    return Plan(
        action_name=name,
        target=alert.alert_id,
        title=f"{transition.label} {alert.alert_id}{duration_text}",
        args={k: args[k] for k in ("alert_id", "minutes", "why") if args.get(k)},
        preconditions={"state": str(state), "events": alert.last_state_change.sequence},
        changes=(
            Change("alert", str(state), f"{transition.target_state}{duration_text}"),
            Change("tells again", *_notification_effect(transition.target_state)),
        ),
        guards=tuple(_guards(transition, state, args)),
        planned_at=now,
        undo=transition.undo,
        cost="No query of its own: one row in the record.",
        warnings=_warnings(transition),
    )


def _notification_effect(state: AlertState) -> tuple[str, str]:
    effects = {
        AlertState.OPEN: "every hour while it is critical",
        AlertState.ACKNOWLEDGED: "only when it gets worse or ends",
        AlertState.SILENCED: "nobody, until the silence ends",
        AlertState.RESOLVED: "if its rule still speaks in 15 min",
    }
    return "", effects[state]


def _guards(transition: _Transition, state: AlertState, args: Params) -> list[Guard]:
    guards = [Guard("state", state in transition.source_states, f"It is {state} now.")]
    if transition.event in EVENTS_NEEDING_REASON:
        reason = str(args.get("why") or "").strip()
        guards.append(Guard("reason", bool(reason), f"Reason: {reason}." if reason else "A reason is needed."))
    if transition.event == EventType.SILENCED:
        minutes = args.get("minutes")
        valid = isinstance(minutes, int) and not isinstance(minutes, bool) and 0 < minutes <= MAX_SILENCE_MIN
        guards.append(Guard("end", valid, f"A silence ends after 1 to {MAX_SILENCE_MIN} minutes; asked: {minutes}."))
    return guards


def _warnings(transition: _Transition) -> tuple[str, ...]:
    if transition.event == EventType.RESOLVED:
        return ("Resolving mends nothing: if the rule still speaks in 15 minutes, the alert opens again.",)
    return ()


def _apply(context: ActionContext) -> Details:
    transition, args = _TRANSITIONS[context.plan.action_name], context.plan.args
    now = context.clients.now()
    silent_until = now + timedelta(minutes=int(args["minutes"])) if transition.event == EventType.SILENCED else None
    for _ in range(5):  # a notification may take the number meanwhile; a change of state by another wins
        alert = read_alert(context.clients, context.plan.target)
        if alert.last_state_change.sequence != context.plan.preconditions["events"]:
            raise OnCallError(
                f"{alert.last_state_change.actor} has {alert.last_state_change.event} it meanwhile.", "Look at it anew."
            )
        reason = str(args.get("why") or "")
        if append_event(
            context.clients,
            alert.new_event(
                transition.event,
                now,
                context.actor.name,
                reason=reason,
                silent_until=silent_until,
                facts={"findings": list(alert.rule_results)},
            ),
        ):
            return {"event": transition.event}
    raise OnCallError("The alert's record is busy.", "Try again.")


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    alert, transition = read_alert(clients, plan.target), _TRANSITIONS[plan.action_name]
    state = alert.state(clients.now())
    if state is not transition.target_state:
        return Verification(ActionState.FAILED, f"It is {state}, not {transition.target_state}.", {"state": str(state)})
    silent_until = alert.last_state_change.silent_until
    until_text = f" until {format_eastern(silent_until)}" if silent_until else ""
    return Verification(ActionState.DONE, f"{plan.target} is {state}{until_text}.", {"state": str(state)})


def _plan_test(clients: Clients, args: Params) -> Plan:
    now = clients.now().replace(second=0, microsecond=0)
    is_configured = channel_configured(clients.settings)
    return Plan(
        action_name="alerts.test",
        target="slack",
        title="Send a test message",
        args=dict(args),
        preconditions={"channel": "set here" if is_configured else "the watchdog's", "minute": now.isoformat()},
        changes=(
            Change("message", "", f"one line, marked as a test, sent {'now' if is_configured else 'by the watchdog'}"),
        ),
        guards=(
            Guard(
                "channel",
                True,
                f"SLACK_WEBHOOK_URL is {'set' if is_configured else 'not set here: the watchdog sends it'}.",
            ),
        ),
        planned_at=clients.now(),
        undo="A message cannot be taken back.",
        cost="One call to Slack.",
    )


def _send_test(context: ActionContext) -> Details:
    """The test is recorded like every message, so that the watchdog's channel rule takes it into account."""
    text = f"Test message of Prediction On-Call, sent by {context.actor.name}. Nothing is wrong."
    opened = Event(
        f"test-{context.action_id}",
        1,
        EventType.OPENED,
        context.clients.now(),
        context.actor.name,
        cause="test",
        game_date=None,
        severity=Health.OK,
        rule="channel",
        message=text,
    )
    if not channel_configured(context.clients.settings):
        append_event(context.clients, opened)
        return {"asked": opened.alert_id}
    alert = Alert(opened.alert_id, (opened,))
    delivery = open_channel(context.clients.settings).send([alert])
    sent = delivery_event(alert, delivery, context.clients.now(), context.action_id)
    resolved = Alert(alert.alert_id, (opened, sent)).new_event(EventType.RESOLVED, context.clients.now(), WATCHDOG)
    for event in (opened, sent, resolved):
        append_event(context.clients, event)
    return {"delivered": delivery.ok, "delivery": delivery.detail}


def _verify_test(_clients: Clients, _plan: Plan, details: Details) -> Verification:
    if "asked" in details:
        return Verification(
            ActionState.DONE, "The watchdog sends it at its next look; what happened below tells how it went.", {}
        )
    if "delivered" not in details:
        return Verification(ActionState.UNVERIFIED, "Nobody recorded whether it arrived: look into the channel.")
    state = ActionState.DONE if details["delivered"] else ActionState.FAILED
    return Verification(state, f"{details['delivery']}.", {})


CHANGES = frozenset((ALERTS,))
ACKNOWLEDGE, SILENCE, RESOLVE, REOPEN = (
    ActionType(name, transition.label, partial(_plan, name), _apply, _verify, CHANGES)
    for name, transition in _TRANSITIONS.items()
)
TEST_NOTIFICATION = ActionType("alerts.test", "Send a test message", _plan_test, _send_test, _verify_test, CHANGES)
