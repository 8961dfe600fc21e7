"""Whoever clicks, how often, from where: one effect, one intent, one outcome; and nothing at all that is not recorded."""

import json
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from services.actions.background import Runner
from services.actions.executor import finish, run_action
from services.actions.log_reader import State, read_same
from services.actions.plan import Plan, as_json
from services.core.errors import OnCallError
from services.core.settings import Settings
from services.gcp import query_catalog as catalog
from services.gcp.clients import connect
from services.sandbox.common.fault_injection import Fault
from services.scaling.actions import NARROW, SET
from services.scaling.worker_width import read_worker
from tests.actions.conftest import OPERATOR, at_once

ELSEWHERE = """
import sys
from services.actions.executor import run_action
from services.actions.plan import from_json
from services.auth.roles import Actor, Role
from services.gcp.clients import connect
from services.core.settings import Settings
from services.action_registry import verb_of
cloud = connect(Settings.from_env())
plan = from_json(sys.stdin.readline())
print("ready", flush=True)
sys.stdin.readline()
action = run_action(cloud, Actor(sys.argv[1], Role.OPERATOR), verb_of(plan.verb), plan, "because")
print(action.action_id, action.state, flush=True)
"""


def width(instances, requests=5):
    return {"instances": instances, "requests": requests}


@pytest.fixture
def plan(desk) -> Plan:
    """A change of instances alone, to a number that the service does not have now."""
    now = read_worker(desk).actual
    return SET.plan(desk, width(2 + (now.instances or 0) % 3, now.requests))


@pytest.fixture
def changes(own_sandbox):
    """How often the service has been changed since the test began."""
    service = next(s for n, s in own_sandbox.world.run.services.items() if n.endswith("prediction-worker"))
    before, name = int(service["generation"]), service["name"]
    return lambda: int(own_sandbox.world.run.services[name]["generation"]) - before


def events(desk, plan) -> list[str]:
    return [row["event"] for row in catalog.run(desk, "actions.same_key", action_key=plan.key).rows]


def in_another_process(address: str, who: str, plan: Plan) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, who],
        env={"SANDBOX_URL": address, "PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(as_json(plan) + "\n")
    process.stdin.flush()
    return process


def test_two_clicks_250_ms_apart_are_one_action(desk, plan, changes):
    runner = Runner()

    def click():
        return runner.submit(plan, "operator", desk.now(), lambda: run_action(desk, OPERATOR, SET, plan))

    first = click()
    time.sleep(0.25)
    second = click()
    assert first is second
    assert first.end.result(20).state is State.DONE
    assert (changes(), events(desk, plan)) == (1, ["intent", "outcome"])


def test_a_click_from_the_same_plan_after_the_end_belongs_to_the_same_action(desk, plan, changes):
    first = run_action(desk, OPERATOR, SET, plan)
    again = run_action(desk, OPERATOR, SET, plan)
    assert again.action_id == first.action_id
    assert (changes(), events(desk, plan)) == (1, ["intent", "outcome"])


def test_eight_clicks_at_the_same_moment_without_a_common_runner_are_one_action(desk, plan, changes):
    found = at_once(*[lambda: run_action(desk, OPERATOR, SET, plan)] * 8)
    assert len({action.action_id for action in found}) == 1
    assert changes() == 1
    assert sorted(events(desk, plan)) == ["intent", "outcome"]


def test_two_dashboard_processes_at_once_are_one_action(desk, own_sandbox, plan, changes):
    both = [in_another_process(own_sandbox.address, who, plan) for who in ("ann", "bob")]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0].split() for process in both]
    assert told[0][0] == told[1][0], "both were told of the same action"
    assert changes() == 1
    assert sorted(events(desk, plan)) == ["intent", "outcome"]


def test_a_dashboard_that_dies_midway_leaves_an_action_that_the_next_viewer_finishes(
    desk, own_sandbox, changes, monkeypatch
):
    monkeypatch.setattr(own_sandbox.world.run, "_rollout_s", 1.5)
    plan = SET.plan(desk, width(3, 2 + read_worker(desk).actual.requests % 3))
    process = in_another_process(own_sandbox.address, "ann", plan)
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    while not changes():
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert read_worker(desk).rolling_out
    begun = read_same(desk, plan.key)[0]
    assert (begun.actor, begun.state, begun.ended) == ("ann", State.UNDER_WAY, None)
    assert not begun.quiet(desk.now())
    assert begun.quiet(desk.now() + timedelta(seconds=61)), "a minute of silence is told as such"

    assert run_action(desk, OPERATOR, SET, plan).action_id == begun.action_id, (
        "a click meanwhile does nothing of its own"
    )
    assert finish(desk, SET, begun).state is State.UNDER_WAY, "what still goes on gets no outcome yet"
    while read_worker(desk).rolling_out:
        time.sleep(0.05)
    assert finish(desk, SET, begun).state is State.DONE
    finish(desk, SET, begun)
    told = events(desk, plan)
    assert (changes(), told.count("intent"), told.count("outcome")) == (1, 1, 1)
    assert read_same(desk, plan.key)[0].facts["found_again"] is True


def test_an_answer_that_was_lost_is_found_out_by_the_re_read(desk, own_sandbox, plan, changes):
    own_sandbox.world.faults.set(Fault("run", "drop_after", "run PATCH", times=1))
    action = run_action(desk, OPERATOR, SET, plan)
    assert action.state is State.DONE
    assert "Cloud Run did not answer" in action.sentence
    assert changes() == 1


def test_a_refusal_by_the_cloud_is_a_failure_and_a_new_plan_may_try_again(desk, own_sandbox, plan, changes):
    own_sandbox.world.faults.set(Fault("run", "status", "run PATCH", status=403, message="Permission denied", times=1))
    failed = run_action(desk, OPERATOR, SET, plan)
    assert (failed.state, changes()) == (State.FAILED, 0)
    assert "Permission denied" in failed.sentence
    again = run_action(desk, OPERATOR, SET, SET.plan(desk, plan.args))
    assert (again.state, changes()) == (State.DONE, 1)
    assert (again.key, again.attempt) == (failed.key, failed.attempt + 1)


def test_what_cannot_be_recorded_is_not_done(desk, own_sandbox, plan, changes):
    own_sandbox.world.faults.set(Fault("bigquery", "status", "insertJob", status=403, message="no"))
    with pytest.raises(OnCallError):
        run_action(desk, OPERATOR, SET, plan)
    own_sandbox.world.faults.clear()
    assert (changes(), events(desk, plan)) == (0, [])


def test_a_claim_whose_job_failed_does_not_block_the_action_for_ever(desk, own_sandbox, plan, changes):
    with pytest.raises(Exception, match=r"nowhere"):
        desk.bigquery.query("SELECT * FROM nowhere.nothing", job_id=f"on-call-{plan.key}-0-0", job_retry=None).result()
    assert run_action(desk, OPERATOR, SET, plan).state is State.DONE
    assert changes() == 1


def test_an_outcome_that_could_not_be_read_is_unverified_and_never_a_success(desk, own_sandbox, plan, monkeypatch):
    def effect(deed, done=SET.effect):
        told = done(deed)
        own_sandbox.world.faults.set(Fault("run", "status", "run GET", status=403))
        return told

    verb = SET.__class__(SET.name, SET.label, SET.plan, effect, SET.verify)
    action = run_action(desk, OPERATOR, verb, plan)
    assert action.state is State.UNVERIFIED
    assert "could not be read" in action.sentence


def test_every_row_of_the_log_stands_alone(desk, plan):
    action = run_action(desk, OPERATOR, SET, plan, "to see")
    for row in catalog.run(desk, "actions.one", action_id=action.action_id).rows:
        assert (row["actor"], row["role"], row["verb"], row["target"], row["reason"]) == (
            "nora", "operator", "scaling.set", "prediction-worker", "to see",
        )  # fmt: skip
        assert json.loads(row["plan"] or "null")["title"] == plan.title


def test_a_dashboard_whose_clock_is_settled_by_the_sandbox_reads_the_same_log(own_sandbox, desk, plan):
    action = run_action(desk, OPERATOR, SET, plan)
    other = connect(Settings.from_env({"SANDBOX_URL": own_sandbox.address}))
    assert read_same(other, plan.key)[0] == action


def test_narrowing_when_it_is_narrow_already_is_no_action(desk):
    run_action(desk, OPERATOR, NARROW, NARROW.plan(desk, {}))
    assert [guard.name for guard in NARROW.plan(desk, {}).blocked] == ["something to change"]
