"""Scaling through the real Cloud Run client: what it changes, what it refuses, and that the way back is never lost."""

import time
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.actions.executor import Refused, run_action
from services.actions.log_reader import State
from services.auth.roles import Actor, Denied, Role
from services.core.errors import BadInput
from services.scaling.actions import NARROW, RESTORE, SET, apply_due_reverts
from services.scaling.annotations import Setting
from services.scaling.worker_width import ADMITTED, CAP_PRODUCT, read_worker, what_if
from tests.actions.conftest import OPERATOR, VIEWER


@pytest.fixture
def wide(desk, own_sandbox):
    """The worker as a deploy leaves it: 20 × 5 on the revision, nothing noted."""
    _deploy(own_sandbox, 20, 5, "template,annotations,scaling")
    while read_worker(desk).rolling_out:
        time.sleep(0.02)
    assert read_worker(desk).actual == Setting(None, 20, 5)
    return desk


def _deploy(own_sandbox, instances, requests, mask="template"):
    """What a deploy does behind our back: a new revision with its own numbers."""
    name = next(n for n in own_sandbox.world.run.services if n.endswith("prediction-worker"))
    template = {**own_sandbox.world.run.services[name]["template"], "maxInstanceRequestConcurrency": requests}
    told = {"template": {**template, "scaling": {"maxInstanceCount": instances}}}
    own_sandbox.world.run.patch(name, told, mask, False)


def test_the_handoffs_emergency_width_is_restored_to_the_configured_one_when_nobody_noted_another(desk, do):
    before = read_worker(desk)
    assert (before.actual, before.noted.normal) == (Setting(None, 4, 3), None)
    plan = RESTORE.plan(desk, {})
    assert "Nobody noted normal values" in " ".join(plan.cautions)
    done = run_action(desk, OPERATOR, RESTORE, plan)
    assert done.state is State.DONE
    assert read_worker(desk).actual == Setting(None, 20, 5)


def test_narrowing_changes_the_service_maximum_and_leaves_the_revisions_maximum_alone(wide, do):
    done = do(NARROW)
    assert done.state is State.DONE, done.sentence
    assert read_worker(wide).actual == Setting(4, 20, 3)
    assert done.facts["after"]["service maximum"] == 4
    assert read_worker(wide).revision in done.sentence


def test_a_change_of_instances_alone_needs_no_new_revision(wide, do):
    revision = read_worker(wide).revision
    plan = SET.plan(wide, {"instances": 8, "requests": 5})
    assert "No query. One call to Cloud Run." in plan.cost
    do(SET, "fewer", "prediction-worker", instances=8, requests=5)
    assert (read_worker(wide).revision, read_worker(wide).actual) == (revision, Setting(8, 20, 5))


def test_a_change_of_requests_waits_until_the_new_revision_serves(wide, do):
    revision = read_worker(wide).revision
    done = do(SET, instances=4, requests=2)
    after = read_worker(wide)
    assert after.revision != revision
    assert not after.rolling_out
    assert done.state is State.DONE
    assert any("rolled out" in sentence for _, sentence in done.steps)


def test_restore_after_two_narrowings_gives_the_original_values(wide, do):
    do(SET, instances=10, requests=4)
    do(NARROW)
    assert read_worker(wide).noted.normal == Setting(None, 20, 5)
    do(RESTORE)
    assert read_worker(wide).actual == Setting(None, 20, 5)
    assert read_worker(wide).noted.normal is None


@pytest.mark.parametrize(("instances", "requests"), [(0, 5), (101, 1), (4, 0), (4, 81), (100, 4)])
def test_values_outside_floor_and_cap_are_refused_on_the_server(wide, do, told, instances, requests):
    with pytest.raises(Refused, match="must lie within"):
        do(SET, "I want to", "prediction-worker", instances=instances, requests=requests)
    assert read_worker(wide).actual == Setting(None, 20, 5)
    assert [action.state for action in told()] == [State.REFUSED]


@pytest.mark.parametrize("value", [None, "4", 3.5, True])
def test_what_is_not_a_whole_number_is_not_even_planned(desk, value):
    with pytest.raises(BadInput, match="whole number"):
        SET.plan(desk, {"instances": value, "requests": 3})


def test_a_change_of_the_etag_between_plan_and_apply_is_refused_with_the_difference(wide, own_sandbox, told):
    plan = NARROW.plan(wide, {})
    _deploy(own_sandbox, 15, 5)
    with pytest.raises(Refused, match="revision maximum was 20, is 15"):
        run_action(wide, OPERATOR, NARROW, plan)
    assert read_worker(wide).actual == Setting(None, 15, 5)
    assert [(action.state, action.ended is not None) for action in told()] == [(State.REFUSED, True)]


def test_a_change_in_the_last_instant_is_refused_by_cloud_run_itself(wide, own_sandbox, monkeypatch, told):
    plan = NARROW.plan(wide, {})

    run = own_sandbox.world.run
    patch = run.patch
    monkeypatch.setattr(run, "patch", lambda name, told, *rest: patch(name, {**told, "etag": '"older"'}, *rest))
    action = run_action(wide, OPERATOR, NARROW, plan)
    assert action.state is State.FAILED
    assert "version was specified but current version differs" in action.sentence
    assert read_worker(wide).actual.product == plan.observed["now"]["revision maximum"] * 5


def test_a_later_deploy_that_resets_the_width_is_shown_as_drift(wide, do, own_sandbox):
    do(NARROW)
    assert read_worker(wide).drift == ""
    _deploy(own_sandbox, 20, 5)
    assert "nora set prediction-worker to 4 × 3, but it is 4 × 5" in read_worker(wide).drift


def test_a_viewer_is_denied_and_that_is_recorded(wide, told):
    with pytest.raises(Denied):
        run_action(wide, VIEWER, NARROW, NARROW.plan(wide, {}))
    assert [(action.actor, action.state) for action in told()] == [("vic", State.DENIED)]


def test_a_narrowing_with_a_time_to_revert_is_taken_back_once_that_has_come(wide, do, own_sandbox, told):
    at = wide.now() + timedelta(seconds=1.5)
    do(NARROW, revert_at=at.isoformat())
    watchdog = Actor("watchdog", Role.OPERATOR)
    assert read_worker(wide).noted.revert_at == at
    assert apply_due_reverts(wide, watchdog) is None, "its time has not come"
    time.sleep((at - wide.now()).total_seconds() + 0.01)
    assert apply_due_reverts(wide, watchdog).state is State.DONE
    assert read_worker(wide).actual == Setting(None, 20, 5)
    assert [a.actor for a in told() if a.verb == "scaling.restore"] == ["watchdog"]
    assert apply_due_reverts(wide, watchdog) is None


def test_widening_beyond_what_the_table_admits_needs_a_reason_and_the_services_name(wide, do):
    do(NARROW)
    with pytest.raises(Refused, match="a reason is needed"):
        do(SET, reason="", instances=10, requests=5)
    with pytest.raises(Refused, match="has to be typed"):
        do(SET, reason="because", typed="prediction-coordinator", instances=10, requests=5)


@given(st.integers(1, 100), st.integers(1, 80))
def test_of_any_width_the_direct_writes_beyond_22_would_be_rejected_and_staging_makes_one(instances, requests):
    told = what_if(instances, requests)
    assert told.direct_outstanding + told.direct_rejected == instances * requests
    assert told.direct_outstanding <= ADMITTED
    assert told.staged_outstanding == 1
    assert CAP_PRODUCT >= ADMITTED
