"""What a person does with an alert: acknowledge, silence, resolve, reopen, each once and in the action log."""

from __future__ import annotations

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE
from services.alerts.alert_log import AlertState, read_alerts
from services.alerts.channel_tests import TEST_NOTIFICATION
from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.auth.roles import Actor, InsufficientRole, Role
from services.policy.concurrency_config import SelfHealingConfig
from tests.integration.pages.conftest import open_page as open_page

NORA = Actor("nora", Role.OPERATOR)
WRITES_ALERT_ID = "writes-2025-12-29"


@pytest.fixture
def clients(checked_sandbox):
    """Clients of a sandbox that the watchdog has checked, with a channel."""
    return checked_sandbox[0]


def execute_action(clients, action_type, actor=NORA, **args):
    return execute(clients, actor, action_type, action_type.plan(clients, args))


def alert_state(clients):
    return next(a for a in read_alerts(clients).alerts if a.alert_id == WRITES_ALERT_ID).state(clients.now())


def test_an_alert_is_acknowledged_silenced_resolved_and_reopened(clients):
    assert execute_action(clients, ACKNOWLEDGE, alert_id=WRITES_ALERT_ID).state is ActionState.DONE
    assert alert_state(clients) is AlertState.ACKNOWLEDGED
    assert (
        "until"
        in execute_action(clients, SILENCE, alert_id=WRITES_ALERT_ID, minutes=60, why="repair is under way").message
    )
    assert alert_state(clients) is AlertState.SILENCED
    assert execute_action(clients, RESOLVE, alert_id=WRITES_ALERT_ID, why="re-run by hand").state is ActionState.DONE
    assert alert_state(clients) is AlertState.RESOLVED
    assert execute_action(clients, REOPEN, alert_id=WRITES_ALERT_ID).state is ActionState.DONE
    assert alert_state(clients) is AlertState.OPEN


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        (SILENCE, {"minutes": 60}),
        (SILENCE, {"minutes": 5_000, "why": "x"}),
        (SILENCE, {"why": "x"}),
        (RESOLVE, {}),
        (REOPEN, {}),
    ],
)
def test_an_alert_action_without_reason_duration_or_valid_state_is_refused(clients, verb, args):
    with pytest.raises(ActionRefused):
        execute_action(clients, verb, alert_id=WRITES_ALERT_ID, **args)
    assert alert_state(clients) is AlertState.OPEN


def test_a_viewer_may_not_acknowledge(clients):
    with pytest.raises(InsufficientRole):
        execute_action(clients, ACKNOWLEDGE, actor=Actor("vic", Role.VIEWER), alert_id=WRITES_ALERT_ID)


def test_a_manually_resolved_alert_reopens_only_after_fifteen_minutes(clients):
    execute_action(clients, RESOLVE, alert_id=WRITES_ALERT_ID, why="known")
    assert run_check(clients, CheckCache(), SelfHealingConfig()).recorded_events == ()
    execute_action(clients, REOPEN, alert_id=WRITES_ALERT_ID)


def test_a_test_message_is_delivered_and_logged(clients, checked_sandbox):
    assert execute_action(clients, TEST_NOTIFICATION).message == "Delivered to Slack."
    assert "No action needed" in checked_sandbox[1].state.slack_messages[-1]["text"]
