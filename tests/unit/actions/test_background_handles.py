"""A second click on an action of this process gets the first one's handle, and a handle reports how its action ended."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.actions.background import RETAIN_S, ActionHandle, BackgroundRunner
from services.actions.plan import Plan
from services.core.errors import OnCallError

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
PLAN = Plan("test.effect", "target", "Act once", {}, {}, (), (), NOW, "no")


@pytest.fixture
def runner():
    return BackgroundRunner()


def succeed() -> Any:
    return "the action"


def end(
    runner: BackgroundRunner, plan: Plan, at: datetime, role: str = "operator", task: Any = succeed
) -> ActionHandle:
    """Submit a task and wait for its end."""
    handle = runner.submit(plan, role, at, task)
    assert runner.wait(5) == ()
    return handle


def test_a_running_plan_is_not_begun_again_however_late_the_second_click(runner):
    release, begun = threading.Event(), []

    def work() -> Any:
        begun.append(1)
        release.wait(5)
        return "the action"

    first = runner.submit(PLAN, "operator", NOW, work)
    assert not first.ended
    assert first.error is None
    later = replace(PLAN, planned_at=NOW + timedelta(hours=1))
    assert runner.submit(later, "operator", NOW + timedelta(hours=1), work) is first
    release.set()
    assert runner.wait(5) == ()
    assert (first.ended, first.future.result(), begun) == (True, "the action", [1])


def test_the_same_plan_after_its_end_gets_the_same_handle(runner):
    first = end(runner, PLAN, NOW)
    assert end(runner, PLAN, NOW + timedelta(seconds=RETAIN_S)) is first
    assert (first.key, first.title, first.started_at) == (f"{PLAN.key} operator", "Act once", NOW)


def test_a_plan_made_after_the_end_is_begun_anew(runner):
    first = end(runner, PLAN, NOW)
    later = NOW + timedelta(seconds=1)
    assert end(runner, replace(PLAN, planned_at=later), later) is not first


def test_a_plan_made_in_the_moment_of_the_start_is_the_same_action(runner):
    first = end(runner, PLAN, NOW)
    assert end(runner, replace(PLAN, planned_at=NOW), NOW) is first


def test_another_role_and_another_plan_are_other_actions(runner):
    first = end(runner, PLAN, NOW)
    assert end(runner, PLAN, NOW, "viewer") is not first
    assert end(runner, replace(PLAN, target="other"), NOW) is not first


def test_an_ended_action_is_forgotten_after_a_while_and_a_running_one_never(runner):
    first = end(runner, PLAN, NOW)
    after = NOW + timedelta(seconds=RETAIN_S + 1)
    assert end(runner, replace(PLAN, planned_at=NOW), after) is not first


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OnCallError("Refused.", "Look anew."), "Refused."),
        (ZeroDivisionError("division"), "Act once: dashboard bug (ZeroDivisionError)."),
        (SystemExit(1), "Act once: dashboard bug (SystemExit)."),
    ],
)
def test_an_action_that_raises_has_an_error_in_words(runner, error, message, caplog):
    def fail() -> Any:
        raise error

    found = end(runner, PLAN, NOW, task=fail).error
    assert found is not None
    assert (found.message, bool(found.hint)) == (message, True)
    assert (len(caplog.records) == 0) is isinstance(error, OnCallError)


def test_an_action_that_succeeded_has_no_error(runner):
    assert end(runner, PLAN, NOW).error is None
