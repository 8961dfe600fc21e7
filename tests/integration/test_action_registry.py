"""A viewer who executes actions without the buttons is refused, and the attempt is logged."""

from __future__ import annotations

import pytest

from services.action_registry import ACTION_TYPES
from services.actions.executor import execute
from services.actions.log_reader import Action, ActionState, read_action_log
from services.actions.plan import Plan
from services.auth.roles import Actor, InsufficientRole, Role
from services.core.clock import night_window

VIEWER = Actor("vic@example.com", Role.VIEWER)


@pytest.fixture(scope="module")
def viewer_attempts(request):
    """What each verb answered a viewer, the calls that reached the cloud meanwhile, and what the log says of it."""
    from services.gcp.clients import connect
    from services.sandbox.scenarios.december import build_seed
    from services.sandbox.server import start_sandbox
    from tests.support.sandbox import settings_as

    sandbox = start_sandbox(build_seed())
    try:
        clients = connect(settings_as(sandbox, "act"))
        start = clients.now()
        results: dict[str, Action | InsufficientRole] = {}
        for name, action_type in ACTION_TYPES.items():
            sandbox.state.reset_limits()  # nobody presses every button within 10 s, in which a table takes 25 INSERTs
            plan = Plan(name, "anything", f"Do {name}", {}, {}, (), (), start, undo="")
            try:
                results[name] = execute(clients, VIEWER, action_type, plan, "because", "anything")
            except InsufficientRole as denied:
                results[name] = denied
        calls = dict(sandbox.state.meter.calls)
        yield results, calls, read_action_log(clients, start, night_window(start.date())[1]).actions
    finally:
        sandbox.stop()


@pytest.mark.parametrize("name", sorted(ACTION_TYPES))
def test_a_viewer_is_denied_every_action_and_every_attempt_is_logged(viewer_attempts, name):
    results, _, log = viewer_attempts
    assert isinstance(results[name], InsufficientRole)
    assert [(a.actor, a.role, a.state) for a in log if a.action_name == name] == [
        ("vic@example.com", "viewer", ActionState.DENIED)
    ]


def test_only_the_log_was_written(viewer_attempts):
    _, calls, _ = viewer_attempts
    assert not {call for call in calls if call.startswith("run.")}, calls
    assert not {call for call in calls if "copy" in call or "delete" in call.lower() or "load" in call}, calls
