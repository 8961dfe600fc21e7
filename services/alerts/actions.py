"""What a person does with an alert: take it, silence it for a while, close it, open it again. Each as an action with its record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.actions.log_reader import State
from services.actions.plan import Change, Guard, Plan
from services.actions.verb import Deed, Facts, Verb, Verdict
from services.alerts.alert_log import WATCHDOG, Alert, AlertState, Event, append, read_alerts
from services.alerts.slack import send
from services.auth.roles import Role
from services.core.clock import ET
from services.core.errors import BadInput, OnCallError
from services.core.result import Health
from services.gcp.clients import Cloud

LONGEST_SILENCE_MIN = 24 * 60
REASON_NEEDED = {"silenced", "resolved"}


@dataclass(frozen=True)
class _Change:
    """One thing that can be done: the event it adds, from which states, to which."""

    event: str
    does: str
    start: frozenset[AlertState]
    to: AlertState
    undo: str


_OPEN = frozenset({AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.SILENCED})
_CHANGES = {
    "alerts.acknowledge": _Change(
        "acknowledged", "Take", frozenset({AlertState.OPEN}), AlertState.ACKNOWLEDGED, "Silence, resolve or reopen it."
    ),
    "alerts.silence": _Change(
        "silenced", "Silence", _OPEN, AlertState.SILENCED, "It ends by itself; reopening ends it now."
    ),
    "alerts.resolve": _Change("resolved", "Resolve", _OPEN, AlertState.RESOLVED, "Reopen it."),
    "alerts.reopen": _Change(
        "reopened", "Reopen", frozenset(AlertState) - {AlertState.OPEN}, AlertState.OPEN, "Resolve it."
    ),
}


def read_alert(cloud: Cloud, alert_id: str) -> Alert:
    """One alert; raises BadInput when there is none of that id."""
    found = next((a for a in read_alerts(cloud).alerts if a.alert_id == alert_id), None)
    if found is None:
        raise BadInput(f"There is no alert {alert_id!r}.", "Choose one on the alerts page.")
    return found


def _planner(name: str) -> Callable[[Cloud, Facts], Plan]:
    change = _CHANGES[name]

    def plan(cloud: Cloud, args: Facts) -> Plan:
        alert, now = read_alert(cloud, str(args.get("alert_id") or "")), cloud.now()
        state, minutes = alert.state(now), args.get("minutes")
        length = f" for {minutes} min" if change.event == "silenced" else ""
        return Plan(
            verb=name,
            target=alert.alert_id,
            title=f"{change.does} {alert.alert_id}{length}",
            args={k: args[k] for k in ("alert_id", "minutes", "why") if args.get(k)},
            observed={"state": str(state), "events": alert.change.sequence},
            changes=(Change("alert", str(state), f"{change.to}{length}"), Change("tells again", *_tells(change.to))),
            guards=tuple(_guards(change, state, args)),
            planned_at=now,
            undo=change.undo,
            cost="No query of its own: one row in the record.",
            cautions=_cautions(change),
        )

    return plan


def _tells(to: AlertState) -> tuple[str, str]:
    words = {
        AlertState.OPEN: "every hour while it is critical",
        AlertState.ACKNOWLEDGED: "only when it gets worse or ends",
        AlertState.SILENCED: "nobody, until the silence ends",
        AlertState.RESOLVED: "if its rule still speaks in 15 min",
    }
    return "", words[to]


def _guards(change: _Change, state: AlertState, args: Facts) -> list[Guard]:
    guards = [Guard("state", state in change.start, f"It is {state} now.")]
    if change.event in REASON_NEEDED:
        why = str(args.get("why") or "").strip()
        guards.append(Guard("reason", bool(why), f"Reason: {why}." if why else "A reason is needed."))
    if change.event == "silenced":
        minutes = args.get("minutes")
        fits = isinstance(minutes, int) and not isinstance(minutes, bool) and 0 < minutes <= LONGEST_SILENCE_MIN
        guards.append(Guard("end", fits, f"A silence ends after 1 to {LONGEST_SILENCE_MIN} minutes; asked: {minutes}."))
    return guards


def _cautions(change: _Change) -> tuple[str, ...]:
    if change.event == "resolved":
        return ("Resolving mends nothing: if the rule still speaks in 15 minutes, the alert opens again.",)
    return ()


def _effect(deed: Deed) -> Facts:
    change, args = _CHANGES[deed.plan.verb], deed.plan.args
    now = deed.cloud.now()
    until = now + timedelta(minutes=int(args["minutes"])) if change.event == "silenced" else None
    for _ in range(5):  # a delivery may take the number meanwhile; a change of state by another is seen and left alone
        alert = read_alert(deed.cloud, deed.plan.target)
        if alert.change.sequence != deed.plan.observed["events"]:
            raise OnCallError(f"{alert.change.actor} has {alert.change.event} it meanwhile.", "Look at it anew.")
        reason = str(args.get("why") or "")
        if append(
            deed.cloud,
            alert.next(change.event, now, deed.actor.name, reason=reason, silent_until=until, **_facts(alert)),
        ):
            return {"event": change.event}
    raise OnCallError("The alert's record is busy.", "Try again.")


def _facts(alert: Alert) -> dict[str, Any]:
    return {"facts": {"findings": list(alert.findings)}}


def _verify(cloud: Cloud, plan: Plan, _found: Facts) -> Verdict:
    alert, wanted = read_alert(cloud, plan.target), _CHANGES[plan.verb]
    state = alert.state(cloud.now())
    if state is not wanted.to:
        return Verdict(State.FAILED, f"It is {state}, not {wanted.to}.", {"state": str(state)})
    until = alert.change.silent_until
    end = f" until {until.astimezone(ET):%H:%M} ET" if until else ""
    return Verdict(State.DONE, f"{plan.target} is {state}{end}.", {"state": str(state)})


def _plan_test(cloud: Cloud, args: Facts) -> Plan:
    now = cloud.now().replace(second=0, microsecond=0)
    is_set = bool(cloud.settings.slack_webhook_url)
    return Plan(
        verb="alerts.test",
        target="slack",
        title="Send a test message",
        args=dict(args),
        observed={"channel": "set here" if is_set else "the watchdog's", "minute": now.isoformat()},
        changes=(Change("message", "", f"one line, marked as a test, sent {'now' if is_set else 'by the watchdog'}"),),
        guards=(
            Guard(
                "channel", True, f"SLACK_WEBHOOK_URL is {'set' if is_set else 'not set here: the watchdog sends it'}."
            ),
        ),
        planned_at=cloud.now(),
        undo="A message cannot be taken back.",
        cost="One call to Slack.",
    )


def _send_test(deed: Deed) -> Facts:
    """The test goes into the same record as every message, so that what it shows of the channel is what the watchdog goes by."""
    words = f"Test message of Prediction On-Call, sent by {deed.actor.name}. Nothing is wrong."
    told = Event(
        f"test-{deed.action_id}",
        1,
        "opened",
        deed.cloud.now(),
        deed.actor.name,
        "test",
        None,
        Health.OK,
        "channel",
        words,
    )
    if not deed.cloud.settings.slack_webhook_url:
        append(deed.cloud, told)
        return {"asked": told.alert_id}
    done = send(deed.cloud.settings, words)
    delivered = "told" if done.ok else "not told"
    for event in (
        told,
        Alert(told.alert_id, (told,)).next(
            delivered, deed.cloud.now(), WATCHDOG, message_id=deed.action_id, facts={"delivery": done.sentence}
        ),
    ):
        append(deed.cloud, event)
    append(deed.cloud, _ended(told, deed))
    return {"delivered": done.ok, "delivery": done.sentence}


def _ended(told: Event, deed: Deed) -> Event:
    last = Alert(told.alert_id, (told,)).next("resolved", deed.cloud.now(), WATCHDOG)
    return Event(**{**vars(last), "sequence": 3})


def _verify_test(_cloud: Cloud, _plan: Plan, found: Facts) -> Verdict:
    if "asked" in found:
        return Verdict(State.DONE, "The watchdog sends it at its next look; what happened below tells how it went.", {})
    if "delivered" not in found:
        return Verdict(State.UNVERIFIED, "Nobody recorded whether it arrived: look into the channel.")
    state = State.DONE if found["delivered"] else State.FAILED
    return Verdict(state, f"{found['delivery']}.", {})


ACKNOWLEDGE, SILENCE, RESOLVE, REOPEN = (
    Verb(name, change.does, _planner(name), _effect, _verify, Role.OPERATOR) for name, change in _CHANGES.items()
)
TEST = Verb("alerts.test", "Send a test message", _plan_test, _send_test, _verify_test)
