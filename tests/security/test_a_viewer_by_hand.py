"""A viewer who goes around the buttons and calls the verbs themselves is refused, and the attempt is in the record."""

from __future__ import annotations

import pytest

from services.action_registry import VERBS
from services.actions.executor import run_action
from services.actions.log_reader import State, read_log
from services.actions.plan import Plan
from services.auth.roles import Actor, Denied, Role
from services.core.clock import night_window

VIEWER = Actor("vic@example.com", Role.VIEWER)


@pytest.fixture(scope="module")
def everything_done(request):
    """What each verb answered a viewer, the calls that reached the cloud meanwhile, and what the log says of it."""
    from services.core.settings import Settings
    from services.gcp.clients import connect
    from services.sandbox.scenarios.build import build
    from services.sandbox.server import start_sandbox

    sandbox = start_sandbox(build())
    try:
        cloud = connect(Settings.from_env({"SANDBOX_URL": sandbox.address}))
        start, answers = cloud.now(), {}
        for name, verb in VERBS.items():
            plan = Plan(name, "anything", f"Do {name}", {}, {}, (), (), start, undo="")
            try:
                answers[name] = run_action(cloud, VIEWER, verb, plan, "because", "anything")
            except Denied as denied:
                answers[name] = denied
        calls = dict(sandbox.world.meter.calls)
        yield answers, calls, read_log(cloud, start, night_window(start.date())[1]).actions
    finally:
        sandbox.stop()


@pytest.mark.parametrize("name", sorted(VERBS))
def test_a_viewer_is_refused_every_verb_and_every_attempt_is_recorded(everything_done, name):
    answers, _, log = everything_done
    assert isinstance(answers[name], Denied)
    assert [(a.actor, a.role, a.state) for a in log if a.verb == name] == [("vic@example.com", "viewer", State.DENIED)]


def test_nothing_but_the_record_was_written(everything_done):
    _, calls, _ = everything_done
    assert not {call for call in calls if call.startswith("run.")}, calls
    assert not {call for call in calls if "copy" in call or "delete" in call.lower() or "load" in call}, calls


def test_every_verb_needs_more_than_a_viewer():
    assert {name for name, verb in VERBS.items() if verb.needs is Role.VIEWER} == set()
