"""The alerts page, and what a person does with an alert: taken, silenced, closed and opened again, each once and with a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, TEST_NOTIFICATION
from services.alerts.alert_log import AlertState, read_alerts
from services.alerts.facts import CheckCache
from services.alerts.watchdog import run_check
from services.auth.roles import Actor, InsufficientRole, Role
from services.core.settings import Settings
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.reports.event_list import count_by_kind, recent_events
from services.sandbox.bigquery.job_server import JobLatency
from services.sandbox.scenarios.build import build_seed
from services.sandbox.server import start_sandbox
from tests.pages.conftest import open_page as open_page

NORA = Actor("nora", Role.OPERATOR)
WRITES_ALERT_ID = "writes-2025-12-29"


@pytest.fixture(scope="module")
def checked_sandbox():
    """A sandbox that a watchdog has looked at once."""
    server = start_sandbox(build_seed(), latency=JobLatency(scale=0.01))
    clients = connect(
        Settings.from_env({"SANDBOX_URL": server.url, "SLACK_WEBHOOK_URL": f"{server.url}/slack/webhook"})
    )
    run_check(clients, CheckCache(), SelfHealingConfig())
    yield clients, server
    server.stop()


@pytest.fixture
def cloud(checked_sandbox):
    return checked_sandbox[0]


@pytest.fixture
def sandbox(checked_sandbox, monkeypatch):
    """The page fixture opens this sandbox."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{checked_sandbox[1].url}/slack/webhook")
    return checked_sandbox[1]


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
    assert execute_action(clients, TEST_NOTIFICATION).message == "Slack took it."
    assert "Nothing is wrong" in checked_sandbox[1].state.slack_messages[-1]["text"]


def test_the_page_lists_open_alerts_of_any_date_with_their_remedy(open_page):
    screen = open_page("alerts", date="2025-12-18")
    assert "2 alerts open" in screen.verdict
    assert "Writes are being rejected: 90 writes rejected of 158" in screen.text
    assert "Narrow the workers to 4 × 3" in screen.text
    assert "told" in screen.text
    assert "Slack took it" in screen.text
    assert "The watchdog has not looked for 10 minutes" in screen.text, "its log is empty here, and that is said"
    assert "9 jobs, 0 in trouble" in screen.text


def test_the_timeline_contains_alerts_messages_batches_and_deploys(clients):
    from services.actions.log_reader import read_action_log
    from services.batches.reader import read_batches
    from services.scaling.service_widths import read_service_capacities
    from tests.factories import NIGHT

    start, end = datetime(2025, 12, 29, tzinfo=UTC), clients.now() + timedelta(hours=1)
    moments = recent_events(
        read_alerts(clients),
        read_action_log(clients, start, end),
        read_batches(clients, NIGHT),
        read_service_capacities(clients),
        start,
        end,
    )
    assert {"alert", "message", "batch", "deploy"} <= set(count_by_kind(moments))
    assert [m.when for m in moments] == sorted((m.when for m in moments), reverse=True)
