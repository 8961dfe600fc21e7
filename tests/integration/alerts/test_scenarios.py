"""Each of the customer's bad days in the tables, logs and jobs of a sandbox: it raises its one alert, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.alerts.evaluation import evaluate_rules
from services.alerts.facts import ChannelStatus, read_snapshot
from services.alerts.incidents import group_by_cause
from services.gcp.clients import connect
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.server import start_sandbox
from services.scaling.annotations import ANNOTATION_SET_BY, ANNOTATION_SET_TO
from tests.integration.alerts.scenarios import SCENARIOS, build_seed, check_time, parse_night
from tests.support.clock import FixedClock
from tests.support.sandbox import settings_as


@pytest.fixture(scope="module")
def scenario_sandbox():
    sandbox = start_sandbox(build_seed(), latency=JobLatency(scale=0.01), clock=FixedClock(check_time("2025-12-30")))
    yield sandbox
    sandbox.stop()


def find_incidents(sandbox, day):
    clock = sandbox.state.clock
    clock.at = check_time(day)
    clients = replace(connect(settings_as(sandbox, "act")), clock=clock)
    sandbox.state.reset_limits()
    snapshot = read_snapshot(clients, (parse_night(day),), ChannelStatus(True))
    return group_by_cause(evaluate_rules(snapshot, clients.settings, clock.now()))


@pytest.fixture
def emergency_limit_overwritten(scenario_sandbox):
    """The annotations say 4 × 3, and a deploy has set something else."""
    service = next(
        s for name, s in scenario_sandbox.state.cloud_run.services.items() if name.endswith("prediction-worker")
    )
    service["annotations"] = {ANNOTATION_SET_TO: "4/20/2", ANNOTATION_SET_BY: "nora"}
    yield
    service["annotations"] = {}


@pytest.mark.parametrize("day", [d for d in SCENARIOS if d != "2025-12-16"], ids=lambda d: SCENARIOS[d].description)
def test_each_scenario_raises_its_expected_incident_and_no_other(scenario_sandbox, day):
    duplicates_of_27 = ("duplicates", parse_night("2025-12-27"))  # of any recent date
    found = find_incidents(scenario_sandbox, day)
    raised = [i for i in found if day == "2025-12-27" or (i.rule.name, i.game_date) != duplicates_of_27]
    assert (len(found) - len(raised) == 1) == ("2025-12-25" <= day != "2025-12-27"), (
        "from two days before to a week after"
    )
    expected = SCENARIOS[day].expected
    assert [(i.rule.name, i.cause) for i in raised] == ([expected] if expected else []), [i.message for i in raised]
    assert all(i.game_date == parse_night(day) for i in raised)


def test_a_deploy_that_resets_the_emergency_limit_raises_only_that(scenario_sandbox, emergency_limit_overwritten):
    raised = find_incidents(scenario_sandbox, "2025-12-16")
    assert [(i.rule.name, i.cause) for i in raised] == [("width", "width")]
    assert "by nora, now" in raised[0].message
