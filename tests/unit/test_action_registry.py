"""Every kind of action asks for a role that may act, and an action offers its undo until it is used or expired."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.action_registry import ACTION_TYPES, changed_sources, find_undo, find_undone_by, get_action_type
from services.actions.log_reader import Action, ActionState
from services.actions.plan import Plan, plan_to_json
from services.aliases.save import EDIT_ALIASES
from services.aliases.undo import UNDO_EDIT
from services.auth.roles import Role
from services.core.errors import InvalidInput
from services.core.sources import ALL
from services.plumbing.job_actions import PAUSE_JOB, RESUME_JOB
from services.runs.actions import START_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.move_traffic import MOVE_TRAFFIC, UNDO_MOVE_TRAFFIC
from services.staging.drop import DROP_MERGED
from services.staging.restore_dropped import UNDO_DROP

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
HOUR = timedelta(hours=1)


def make_action(name: str, action_id: str = "a1", ago: timedelta = HOUR, **changes) -> Action:
    args = changes.pop("args", {})
    plan = Plan(name, changes.get("target", "t"), "Do it", args, {}, (), (), NOW, "no")
    at = NOW - ago
    action = Action(
        action_id, "k", 0, name, "t", "Do it", "nora", "operator", "", ActionState.DONE, "done", at, at, at, "p",
        plan_to_json(plan),
    )  # fmt: skip
    return replace(action, **changes)


DROPPED = {"dropped_from_ms": (NOW - HOUR).timestamp() * 1000}


def test_every_action_requires_more_than_a_viewer():
    assert {name for name, action_type in ACTION_TYPES.items() if action_type.required_role is Role.VIEWER} == set()


def test_a_dropped_table_can_be_restored_until_it_was_or_the_window_ends():
    drop = make_action(DROP_MERGED.name, facts=DROPPED)
    undo = find_undo(drop, [drop], NOW)
    assert undo is not None
    assert (undo.action_type, undo.args) == (UNDO_DROP, {"action_id": "a1"})
    restore = make_action(UNDO_DROP.name, "a2", target="a1")
    assert find_undo(drop, [restore, drop], NOW) is None
    assert find_undone_by(drop, [restore, drop]) == restore
    failed = replace(restore, state=ActionState.FAILED)
    assert find_undo(drop, [failed, drop], NOW) is not None, "it was not restored"
    assert find_undo(drop, [drop], NOW + timedelta(days=7)) is None
    short = replace(drop, facts={**DROPPED, "time_travel_h": 48})
    assert find_undo(short, [short], NOW + 46 * HOUR) is not None
    assert find_undo(short, [short], NOW + 48 * HOUR) is None
    assert find_undo(replace(drop, facts={}), [], NOW) is None, "nothing was dropped"


@pytest.mark.parametrize("state", [ActionState.REFUSED, ActionState.DENIED, ActionState.IN_PROGRESS])
def test_what_did_nothing_or_has_not_ended_has_no_undo(state):
    action = make_action(DROP_MERGED.name, facts=DROPPED, state=state)
    assert find_undo(action, [action], NOW) is None


def test_of_capacity_changes_only_the_newest_can_be_restored():
    first, second = make_action(SCALE_DOWN.name, "a1", 2 * HOUR), make_action(SET_CAPACITY.name, "a2")
    assert find_undo(first, [second, first], NOW) is None
    undo = find_undo(second, [second, first], NOW)
    assert undo is not None
    assert (undo.action_type, undo.args) == (RESTORE_CAPACITY, {})
    restored = make_action(RESTORE_CAPACITY.name, "a3", HOUR / 2)
    assert find_undo(second, [restored, second, first], NOW) is None
    assert find_undone_by(second, [restored, second, first]) == restored
    assert find_undo(restored, [restored], NOW) is None, "a restore is no emergency"


def test_an_undo_is_found_by_its_target_or_by_the_parameters_of_its_plan():
    edit = make_action(EDIT_ALIASES.name)
    assert find_undone_by(edit, [make_action(UNDO_EDIT.name, "a2", target="a1"), edit]) is not None
    assert find_undone_by(edit, [make_action(UNDO_EDIT.name, "a2", target="other"), edit]) is None
    moved = make_action(MOVE_TRAFFIC.name)
    back = make_action(UNDO_MOVE_TRAFFIC.name, "a2", target="prediction-worker", args={"action_id": "a1"})
    assert find_undone_by(moved, [back, moved]) == back
    assert find_undone_by(moved, [replace(back, plan_json="{"), moved]) is None, "its plan cannot be read"


def test_a_run_has_no_undo():
    run = make_action(START_RUN.name)
    assert find_undo(run, [run], NOW) is None
    assert find_undone_by(run, [run]) is None


def test_a_change_of_capacity_that_failed_or_came_before_takes_no_undo_away():
    change = make_action(SCALE_DOWN.name, "a1", 2 * HOUR)
    failed = make_action(SET_CAPACITY.name, "a2", state=ActionState.FAILED)
    earlier = make_action(RESTORE_CAPACITY.name, "a0", 3 * HOUR)
    assert find_undo(change, [failed, change, earlier], NOW) is not None
    assert find_undone_by(change, [failed, change, earlier]) is None


def test_an_action_of_another_kind_neither_undoes_nor_replaces():
    change, edit = make_action(SCALE_DOWN.name, "a1", 2 * HOUR), make_action(EDIT_ALIASES.name, "a1")
    assert find_undo(change, [replace(edit, action_id="a3"), change], NOW) is not None
    assert find_undone_by(edit, [make_action(START_RUN.name, "a2", target="a1"), edit]) is None


def test_a_paused_job_can_be_resumed_until_a_later_action_on_the_same_job_has_done_so():
    paused = make_action(PAUSE_JOB.name, target="nightly")
    undo = find_undo(paused, [paused], NOW)
    assert undo is not None
    assert (undo.action_type, undo.args) == (RESUME_JOB, {"job": "nightly"})
    resumed = make_action(RESUME_JOB.name, "a2", HOUR / 2, target="nightly")
    assert find_undo(paused, [resumed, paused], NOW) is None
    assert find_undone_by(paused, [resumed, paused]) == resumed
    of_another_job = replace(resumed, target="other")
    earlier = replace(resumed, started_at=NOW - 2 * HOUR)
    failed = replace(resumed, state=ActionState.FAILED)
    for other in (of_another_job, earlier, failed):
        assert find_undo(paused, [other, paused], NOW) is not None


def test_an_action_that_is_not_known_here_may_have_changed_anything_and_cannot_be_finished():
    assert changed_sources("teams.rename") == ALL
    with pytest.raises(InvalidInput, match=r"Unknown action 'teams\.rename'"):
        get_action_type("teams.rename")
    assert changed_sources(EDIT_ALIASES.name) == EDIT_ALIASES.changes != ALL
    assert get_action_type(EDIT_ALIASES.name) is EDIT_ALIASES
