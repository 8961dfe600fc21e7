"""What a person does with an alert: the plan says what changes, one event is recorded, and its state is read again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.actions.action_type import ActionContext
from services.actions.log_reader import ActionState
from services.alerts import actions
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.alert_log import WATCHDOG, Alert, Event, EventType, append_event, read_alerts
from services.alerts.findings import RuleResult
from services.alerts.incidents import Incident
from services.alerts.present import Evaluation
from services.alerts.rules import RULES_BY_NAME
from services.auth.roles import Role
from services.core.errors import InvalidInput, OnCallError
from services.core.result import Health
from tests.support.actors import OPERATOR
from tests.support.alert_factories import NIGHT, NOW

ALERT_ID = "run-2025-12-29"
FINDINGS = [{"rule": "stalled", "health": "critical", "sentence": "Stalled.", "command": "curl"}]
OPENED = Event(
    ALERT_ID,
    1,
    EventType.OPENED,
    NOW,
    WATCHDOG,
    "run",
    NIGHT,
    Health.CRITICAL,
    "stalled",
    "Stalled.",
    facts={"findings": FINDINGS},
)
WEBHOOK = {"SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/secret"}


@pytest.fixture
def clients(records):
    clients = records.clients()
    append_event(clients, OPENED)
    return clients


def add(clients: Any, event: str, actor: str = "nora", **changes: Any) -> None:
    assert append_event(clients, alert(clients).new_event(event, clients.now(), actor, **changes))


def alert(clients: Any) -> Alert:
    (found,) = read_alerts(clients).alerts
    return found


def make_context(clients: Any, plan: Any) -> ActionContext:
    return ActionContext(clients, OPERATOR, plan, "act1", lambda *_, **__: None)


def act(clients: Any, action_type: Any, **args: Any) -> Any:
    """Plan, apply and verify an action; the details and the verification."""
    plan = action_type.plan(clients, {"alert_id": ALERT_ID, **args})
    assert plan.failed_guards == ()
    details = action_type.apply(make_context(clients, plan))
    return details, action_type.verify(clients, plan, details)


HOURLY, ONCE_WORSE = "hourly while it is critical", "only when it gets worse or is resolved"
STATE_CHANGES = [
    (ACKNOWLEDGE, "open", "acknowledged", ONCE_WORSE, "Acknowledge", "Silence, resolve or reopen it."),
    (RESOLVE, "open", "resolved", "none; it re-opens if its rule still fires after 15 min", "Resolve", "Reopen it."),
    (REOPEN, "acknowledged", "open", HOURLY, "Reopen", "Resolve it."),
]


@pytest.mark.parametrize(("action_type", "before", "after", "notified", "label", "undo"), STATE_CHANGES)
def test_the_plan_names_the_alert_its_states_and_who_is_notified(
    clients, action_type, before, after, notified, label, undo
):
    if before == "acknowledged":
        add(clients, EventType.ACKNOWLEDGED)
    plan = action_type.plan(clients, {"alert_id": ALERT_ID, "why": "known", "other": 1})
    assert (plan.action_name, plan.target, plan.title) == (action_type.name, ALERT_ID, f"{label} {ALERT_ID}")
    assert (action_type.label, action_type.required_role) == (label, Role.OPERATOR)
    assert plan.args == {"alert_id": ALERT_ID, "why": "known"}
    assert [(c.what, c.before, c.after) for c in plan.changes] == [
        ("alert", before, after),
        ("notifications", HOURLY if before == "open" else ONCE_WORSE, notified),
    ]
    assert plan.preconditions == {"state": before, "events": 1 if before == "open" else 2}
    assert (plan.planned_at, plan.undo, plan.failed_guards) == (NOW, undo, ())
    assert plan.cost == "No cost."
    assert len(plan.warnings) == (action_type is RESOLVE)
    assert plan.guards[0].name == "state"
    assert plan.guards[0].message == f"It is {before} now."


def test_a_silence_names_its_length_and_nobody_is_notified_until_it_ends(clients):
    plan = SILENCE.plan(clients, {"alert_id": ALERT_ID, "minutes": 60, "why": " deploy "})
    assert plan.title == f"Silence {ALERT_ID} for 60 min"
    assert [(c.before, c.after) for c in plan.changes] == [
        ("open", "silenced for 60 min"),
        (HOURLY, "muted until the silence ends"),
    ]
    assert plan.args == {"alert_id": ALERT_ID, "minutes": 60, "why": " deploy "}
    assert [(g.name, g.message) for g in plan.guards] == [
        ("state", "It is open now."),
        ("reason", "Reason: deploy."),
        ("end", "A silence lasts 1 to 1440 minutes; requested: 60."),
    ]
    assert (plan.failed_guards, plan.warnings) == ((), ())


@pytest.mark.parametrize(
    ("minutes", "ok"), [(0, False), (1, True), (1440, True), (1441, False), (True, False), ("60", False), (None, False)]
)
def test_a_silence_ends_within_a_day(clients, minutes, ok):
    plan = SILENCE.plan(clients, {"alert_id": ALERT_ID, "minutes": minutes, "why": "deploy"})
    assert [guard.name for guard in plan.failed_guards] == ([] if ok else ["end"])


@pytest.mark.parametrize("action_type", [SILENCE, RESOLVE])
@pytest.mark.parametrize("why", [None, "", "  "])
def test_silencing_and_resolving_need_a_reason(clients, action_type, why):
    (failed,) = action_type.plan(clients, {"alert_id": ALERT_ID, "minutes": 5, "why": why}).failed_guards
    assert (failed.name, failed.ok, failed.message) == ("reason", False, "Enter a reason.")


@pytest.mark.parametrize(
    ("event", "action_type", "allowed"),
    [
        (EventType.ACKNOWLEDGED, ACKNOWLEDGE, False),
        (EventType.ACKNOWLEDGED, RESOLVE, True),
        (EventType.RESOLVED, ACKNOWLEDGE, False),
        (EventType.RESOLVED, RESOLVE, False),
        (EventType.RESOLVED, SILENCE, False),
        (EventType.RESOLVED, REOPEN, True),
        (EventType.REOPENED, REOPEN, False),
        (EventType.REOPENED, SILENCE, True),
    ],
)
def test_an_action_is_allowed_from_its_own_states_only(clients, event, action_type, allowed):
    add(clients, event)
    plan = action_type.plan(clients, {"alert_id": ALERT_ID, "minutes": 5, "why": "known"})
    assert (plan.failed_guards == ()) is allowed


@pytest.mark.parametrize("alert_id", ["nothing", "", None])
def test_an_alert_that_is_not_there_is_invalid_input(clients, alert_id):
    with pytest.raises(InvalidInput, match=f"There is no alert '{alert_id or ''}'"):
        ACKNOWLEDGE.plan(clients, {"alert_id": alert_id})


def test_acknowledging_records_one_event_by_the_actor(clients):
    details, verification = act(clients, ACKNOWLEDGE)
    event = alert(clients).latest_event
    assert (event.event, event.sequence, event.actor, event.recorded_at) == ("acknowledged", 2, "nora", NOW)
    assert (event.reason, event.silent_until, event.facts) == ("", None, {})
    assert details == {"event": "acknowledged"}
    assert (verification.state, verification.message) == (ActionState.DONE, f"{ALERT_ID} is acknowledged.")
    assert verification.after == {"state": "acknowledged"}


def test_a_silence_is_recorded_with_its_reason_and_its_end(clients):
    details, verification = act(clients, SILENCE, minutes=60, why="deploy")
    event = alert(clients).latest_event
    assert (event.event, event.reason, event.silent_until) == ("silenced", "deploy", NOW + timedelta(minutes=60))
    assert (details, verification.message) == ({"event": "silenced"}, f"{ALERT_ID} is silenced until 16:07 ET.")


def test_a_silence_that_is_over_is_not_verified_as_one(clients, records):
    plan = SILENCE.plan(clients, {"alert_id": ALERT_ID, "minutes": 5, "why": "deploy"})
    SILENCE.apply(make_context(clients, plan))
    records.clock.advance(300)
    verification = SILENCE.verify(clients, plan, {})
    assert (verification.state, verification.message) == (ActionState.FAILED, "It is open, not silenced.")
    assert verification.after == {"state": "open"}


def test_who_changed_the_state_meanwhile_wins_and_is_named(clients):
    plan = ACKNOWLEDGE.plan(clients, {"alert_id": ALERT_ID})
    add(clients, EventType.RESOLVED, "tom")
    with pytest.raises(OnCallError, match="tom has already resolved this alert"):
        ACKNOWLEDGE.apply(make_context(clients, plan))
    assert alert(clients).latest_event.sequence == 2


def test_a_message_recorded_meanwhile_takes_a_number_and_does_not_stop_the_action(clients):
    plan = ACKNOWLEDGE.plan(clients, {"alert_id": ALERT_ID})
    add(clients, EventType.NOTIFYING, WATCHDOG)
    ACKNOWLEDGE.apply(make_context(clients, plan))
    assert [(event.sequence, event.event) for event in alert(clients).events] == [
        (1, "opened"),
        (2, "telling"),
        (3, "acknowledged"),
    ]


@pytest.mark.parametrize("lost", [4, 5])
def test_a_number_that_another_takes_first_is_tried_five_times(clients, monkeypatch, lost):
    plan = ACKNOWLEDGE.plan(clients, {"alert_id": ALERT_ID})
    attempts: list[Event] = []

    def take_it_first(_: Any, event: Event) -> bool:
        attempts.append(event)
        return len(attempts) > lost

    monkeypatch.setattr(actions, "append_event", take_it_first)
    if lost == 5:
        with pytest.raises(OnCallError, match="is being updated"):
            ACKNOWLEDGE.apply(make_context(clients, plan))
    else:
        assert ACKNOWLEDGE.apply(make_context(clients, plan)) == {"event": "acknowledged"}
    assert len(attempts) == 5


def make_evaluation(*incidents: Incident, without_data: frozenset[Any] = frozenset()) -> Any:
    nothing: Any = None
    return lambda *_: Evaluation(NOW, frozenset(), nothing, (), incidents, without_data)


ORPHANS = RULES_BY_NAME["stalled"]
PRESENT = Incident("run", NIGHT, (RuleResult(ORPHANS, Health.WARNING, "Six tables.", "run", NIGHT),))


def test_a_resolved_alert_is_reopened_with_what_is_wrong_now_since_its_cause_began(clients, records, monkeypatch):
    add(clients, EventType.RESOLVED, "tom")
    records.clock.advance(600)
    monkeypatch.setattr(actions, "evaluate_now", make_evaluation(PRESENT))
    act(clients, REOPEN)
    reopened = alert(clients)
    assert (reopened.message, reopened.severity) == (f"{ORPHANS.title}: Six tables.", Health.WARNING)
    assert reopened.since == NOW, "a person resolved it: the condition never cleared"


def test_an_alert_whose_condition_cleared_is_not_reopened(clients, monkeypatch):
    add(clients, EventType.RESOLVED)
    monkeypatch.setattr(actions, "evaluate_now", make_evaluation())
    with pytest.raises(OnCallError, match="condition has cleared"):
        act(clients, REOPEN)
    assert alert(clients).ended


def test_where_its_rules_have_no_data_an_alert_is_reopened_as_it_was(clients, monkeypatch):
    add(clients, EventType.RESOLVED)
    monkeypatch.setattr(actions, "evaluate_now", make_evaluation(without_data=frozenset({("run", NIGHT)})))
    act(clients, REOPEN)
    assert (alert(clients).message, alert(clients).since) == ("Stalled.", NOW)


def test_an_alert_that_is_open_all_the_time_is_not_evaluated_again(clients, monkeypatch):
    add(clients, EventType.ACKNOWLEDGED)
    monkeypatch.setattr(actions, "evaluate_now", None)
    act(clients, REOPEN)
    assert alert(clients).latest_event.facts == {}
