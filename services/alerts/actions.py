"""What a person does with an alert: acknowledge, silence, resolve, reopen it, or send a test message. Each is a logged action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from services.actions.action_type import ActionContext, ActionType, Details, Verification
from services.actions.log_reader import ActionState
from services.actions.plan import Change, Guard, Params, Plan
from services.alerts.alert_log import WATCHDOG, Alert, Alerts, AlertState, EventType, append_event, read_alerts
from services.alerts.event_plan import REOPEN_DELAY, incident_fields
from services.alerts.present import evaluate_now
from services.core.clock import format_eastern
from services.core.errors import InvalidInput, OnCallError
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
        "Acknowledge",
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
    return find_alert(read_alerts(clients), alert_id)


def find_alert(alerts: Alerts, alert_id: str) -> Alert:
    """The alert of that id; raises InvalidInput when there is none."""
    alert = next((a for a in alerts.alerts if a.alert_id == alert_id), None)
    if alert is None:
        raise InvalidInput(f"There is no alert {alert_id!r}.", "Choose one on the alerts page.")
    return alert


def _plan(name: str, clients: Clients, args: Params) -> Plan:
    return plan_transition(name, read_alert(clients, str(args.get("alert_id") or "")), clients.now(), args)


def plan_transition(name: str, alert: Alert, now: datetime, args: Params) -> Plan:
    """What the action of this name would change of an alert as it was read; `args` may have `minutes` and `why`. Pure."""
    transition = _TRANSITIONS[name]
    state, minutes = alert.state(now), args.get("minutes")
    duration_text = f" for {minutes} min" if transition.event == EventType.SILENCED else ""
    given = {"alert_id": alert.alert_id, **{key: args[key] for key in ("minutes", "why") if args.get(key)}}
    return Plan(
        action_name=name,
        target=alert.alert_id,
        title=f"{transition.label} {alert.alert_id}{duration_text}",
        args=given,
        preconditions={"state": str(state), "events": alert.last_state_change.sequence},
        changes=(
            Change("alert", str(state), f"{transition.target_state}{duration_text}"),
            Change("notifications", *(_NOTIFICATIONS_BY_STATE[s] for s in (state, transition.target_state))),
        ),
        guards=tuple(_guards(transition, state, args)),
        planned_at=now,
        undo=transition.undo,
        cost="No cost.",
        warnings=_warnings(transition),
    )


_NOTIFICATIONS_BY_STATE = {
    AlertState.OPEN: "hourly while it is critical",
    AlertState.ACKNOWLEDGED: "only when it gets worse or is resolved",
    AlertState.SILENCED: "muted until the silence ends",
    AlertState.RESOLVED: f"none; it re-opens if its rule still fires after {REOPEN_DELAY.seconds // 60} min",
}


def _guards(transition: _Transition, state: AlertState, args: Params) -> list[Guard]:
    guards = [Guard("state", state in transition.source_states, f"It is {state} now.")]
    if transition.event in EVENTS_NEEDING_REASON:
        reason = str(args.get("why") or "").strip()
        guards.append(Guard("reason", bool(reason), f"Reason: {reason}." if reason else "Enter a reason."))
    if transition.event == EventType.SILENCED:
        minutes = args.get("minutes")
        valid = isinstance(minutes, int) and not isinstance(minutes, bool) and 0 < minutes <= MAX_SILENCE_MIN
        guards.append(Guard("end", valid, f"A silence lasts 1 to {MAX_SILENCE_MIN} minutes; requested: {minutes}."))
    return guards


def _warnings(transition: _Transition) -> tuple[str, ...]:
    if transition.event == EventType.RESOLVED:
        return (
            "Resolving doesn't fix the cause; the alert re-opens in"
            f" {REOPEN_DELAY.seconds // 60} min if its rule is still firing.",
        )
    return ()


def _apply(context: ActionContext) -> Details:
    transition, args = _TRANSITIONS[context.plan.action_name], context.plan.args
    now = context.clients.now()
    changes: dict[str, Any] = {"reason": str(args.get("why") or "")}
    if transition.event == EventType.SILENCED:
        changes["silent_until"] = now + timedelta(minutes=int(args["minutes"]))
    if transition.event == EventType.REOPENED:
        changes |= _present_description(context.clients, context.plan.target)
    for _ in range(5):  # a notification may take the number meanwhile; a change of state by another wins
        alert = read_alert(context.clients, context.plan.target)
        if alert.last_state_change.sequence != context.plan.preconditions["events"]:
            raise OnCallError(
                f"{alert.last_state_change.actor} has already {alert.last_state_change.event} this alert.", "Refresh."
            )
        if append_event(context.clients, alert.new_event(transition.event, now, context.actor.name, **changes)):
            return {"event": transition.event}
    raise OnCallError("The alert is being updated.", "Try again.")


def _present_description(clients: Clients, alert_id: str) -> dict[str, Any]:
    """What a resolved alert is about now; empty while it is open, when the watchdog keeps it current, and where it cannot be read.

    Raises OnCallError where none of its rules fires.
    """
    alerts = read_alerts(clients)
    alert = find_alert(alerts, alert_id)
    if not alert.ended:
        return {}
    present = evaluate_now(clients, alerts, None, *([alert.game_date] if alert.game_date else []))
    incident = present.find(alert.cause, alert.game_date)
    if incident is not None:
        fields = incident_fields(incident, clients.settings)
        if alert.last_state_change.actor != WATCHDOG:  # its condition never cleared: it began when it began
            fields["facts"].setdefault("since", alert.since.isoformat())
        return fields
    if (alert.cause, alert.game_date) in present.without_data:
        return {}
    raise OnCallError("Its condition has cleared: no rule of it is firing.", "Nothing has to be reopened.")


def _verify(clients: Clients, plan: Plan, _details: Details) -> Verification:
    alert, transition = read_alert(clients, plan.target), _TRANSITIONS[plan.action_name]
    state = alert.state(clients.now())
    if state is not transition.target_state:
        return Verification(ActionState.FAILED, f"It is {state}, not {transition.target_state}.", {"state": str(state)})
    silent_until = alert.last_state_change.silent_until
    until_text = f" until {format_eastern(silent_until)}" if silent_until else ""
    return Verification(ActionState.DONE, f"{plan.target} is {state}{until_text}.", {"state": str(state)})


CHANGES = frozenset((ALERTS,))
ACKNOWLEDGE, SILENCE, RESOLVE, REOPEN = (
    ActionType(name, transition.label, partial(_plan, name), _apply, _verify, CHANGES)
    for name, transition in _TRANSITIONS.items()
)
