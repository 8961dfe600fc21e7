"""Each of the customer's bad days in the tables, logs and jobs of a sandbox: it raises its one alert, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.alerts.evaluation import judge
from services.alerts.facts import ChannelFacts, read_facts
from services.alerts.incidents import group
from services.core.clock import FixedClock
from services.core.settings import Settings
from services.gcp.clients import connect
from services.sandbox.bigquery.job_server import Speed
from services.sandbox.server import start_sandbox
from services.scaling.annotations import SET_BY, SET_TO
from tests.watch.bad_days import DAYS, looked_at, night, seed


@pytest.fixture(scope="module")
def fortnight():
    place = start_sandbox(seed(), speed=Speed(scale=0.01), clock=FixedClock(looked_at("2025-12-30")))
    yield place
    place.stop()


def incidents(fortnight, day):
    clock = fortnight.world.clock
    clock.at = looked_at(day)
    cloud = replace(connect(Settings.from_env({"SANDBOX_URL": fortnight.address})), clock=clock)
    fortnight.world.reset_limits()
    found = read_facts(cloud, (night(day),), ChannelFacts(True))
    return group(judge(found, cloud.settings, clock.now()))


@pytest.fixture
def emergency_undone(fortnight):
    """The notes say 4 × 3, and a deploy has set something else."""
    service = next(s for name, s in fortnight.world.run.services.items() if name.endswith("prediction-worker"))
    service["annotations"] = {SET_TO: "4/20/2", SET_BY: "nora"}
    yield
    service["annotations"] = {}


@pytest.mark.parametrize("day", [d for d in DAYS if d != "2025-12-16"], ids=lambda d: DAYS[d].about)
def test_a_bad_day_raises_its_alert_and_no_other_and_a_good_one_none(fortnight, day):
    found = incidents(fortnight, day)
    expected = DAYS[day].expected
    assert [(i.rule.name, i.cause) for i in found] == ([expected] if expected else []), [i.sentence for i in found]
    assert all(i.night == night(day) for i in found)


def test_a_deploy_that_resets_the_emergency_width_raises_that_and_no_other(fortnight, emergency_undone):
    found = incidents(fortnight, "2025-12-16")
    assert [(i.rule.name, i.cause) for i in found] == [("width", "width")]
    assert "nora set prediction-worker to" in found[0].sentence
