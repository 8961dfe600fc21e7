"""The alerts page, and what a person does with an alert: taken, silenced, closed and opened again, each once and with a record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.actions.executor import Refused, run_action
from services.actions.log_reader import State
from services.alerts.actions import ACKNOWLEDGE, REOPEN, RESOLVE, SILENCE, TEST
from services.alerts.alert_log import AlertState, read_alerts
from services.alerts.facts import Memory
from services.alerts.watchdog import look
from services.auth.roles import Actor, Denied, Role
from services.core.settings import Settings
from services.gcp.clients import connect
from services.policy.concurrency_config import SelfHealingConfig
from services.reports.event_list import kinds, timeline
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.scenarios.build import build
from services.sandbox.server import start_sandbox
from tests.pages.conftest import open_page as open_page

NORA = Actor("nora", Role.OPERATOR)
WRITES = "writes-2025-12-29"


@pytest.fixture(scope="module")
def watched():
    """A sandbox that a watchdog has looked at once."""
    place = start_sandbox(build(), speed=Speed(scale=0.01))
    cloud = connect(
        Settings.from_env({"SANDBOX_URL": place.address, "SLACK_WEBHOOK_URL": f"{place.address}/slack/webhook"})
    )
    look(cloud, Memory(), SelfHealingConfig())
    yield cloud, place
    place.stop()


@pytest.fixture
def cloud(watched):
    return watched[0]


@pytest.fixture
def sandbox(watched, monkeypatch):
    """The page fixture opens this sandbox."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{watched[1].address}/slack/webhook")
    return watched[1]


def do(cloud, verb, actor=NORA, **args):
    return run_action(cloud, actor, verb, verb.plan(cloud, args))


def state(cloud):
    return next(a for a in read_alerts(cloud).alerts if a.alert_id == WRITES).state(cloud.now())


def test_an_alert_is_taken_silenced_resolved_and_reopened(cloud):
    assert do(cloud, ACKNOWLEDGE, alert_id=WRITES).state is State.DONE
    assert state(cloud) is AlertState.ACKNOWLEDGED
    assert "until" in do(cloud, SILENCE, alert_id=WRITES, minutes=60, why="repair is under way").sentence
    assert state(cloud) is AlertState.SILENCED
    assert do(cloud, RESOLVE, alert_id=WRITES, why="re-run by hand").state is State.DONE
    assert state(cloud) is AlertState.RESOLVED
    assert do(cloud, REOPEN, alert_id=WRITES).state is State.DONE
    assert state(cloud) is AlertState.OPEN


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
def test_without_a_reason_an_end_or_the_right_state_nothing_is_done(cloud, verb, args):
    with pytest.raises(Refused):
        do(cloud, verb, alert_id=WRITES, **args)
    assert state(cloud) is AlertState.OPEN


def test_a_viewer_may_not(cloud):
    with pytest.raises(Denied):
        do(cloud, ACKNOWLEDGE, actor=Actor("vic", Role.VIEWER), alert_id=WRITES)


def test_what_a_person_resolved_is_left_for_a_quarter_of_an_hour_and_then_opens_again(cloud):
    do(cloud, RESOLVE, alert_id=WRITES, why="known")
    assert look(cloud, Memory(), SelfHealingConfig()).changed == ()
    do(cloud, REOPEN, alert_id=WRITES)


def test_a_test_message_arrives_and_is_in_the_record(cloud, watched):
    assert do(cloud, TEST).sentence == "Slack took it."
    assert "Nothing is wrong" in watched[1].world.messages[-1]["text"]


def test_the_page_tells_what_is_open_whatever_the_date_with_what_helps(open_page):
    screen = open_page("alerts", date="2025-12-18")
    assert "2 alerts open" in screen.verdict
    assert "Writes are being rejected: 90 writes rejected of 158" in screen.words
    assert "Narrow the workers to 4 × 3" in screen.words
    assert "told" in screen.words
    assert "Slack took it" in screen.words
    assert "The watchdog has not looked for 10 minutes" in screen.words, "its log is empty here, and that is said"
    assert "9 jobs, 0 in trouble" in screen.words


def test_the_timeline_mixes_alerts_messages_batches_and_deploys(cloud):
    from services.actions.log_reader import read_log
    from services.batches.reader import read_batches
    from services.scaling.service_widths import read_widths
    from tests.factories import NIGHT

    start, end = datetime(2025, 12, 29, tzinfo=UTC), cloud.now() + timedelta(hours=1)
    moments = timeline(
        read_alerts(cloud), read_log(cloud, start, end), read_batches(cloud, NIGHT), read_widths(cloud), start, end
    )
    assert {"alert", "message", "batch", "deploy"} <= set(kinds(moments))
    assert [m.when for m in moments] == sorted((m.when for m in moments), reverse=True)
