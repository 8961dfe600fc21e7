"""The run of a date that is under way: from the click until the outcome is recorded."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.actions.background import ActionHandle
from services.actions.log_reader import Action, ActionState
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.runs.active_run import ActiveRun, find_active_run
from tests.support.alert_factories import make_batch
from tests.support.factories import NIGHT, NOW

OLD = make_batch()
ACTION = Action(
    "a1", "k", 1, "run.start", str(NIGHT), "Re-run", "nora", "operator", "", ActionState.IN_PROGRESS, "", NOW, NOW, None, "p", ""
)  # fmt: skip


def find(*batches: Any, actions: Any = (), pending: Any = ()) -> ActiveRun | None:
    return find_active_run(NIGHT, Batches(tuple(batches), ()), actions, pending, NOW)


def test_a_batch_in_progress_is_under_way_and_can_be_stopped():
    running = make_batch(batch_id="batch_b", state=BatchState.RUNNING, ended=None, requested=90)
    assert find(running, OLD) == ActiveRun("batch_b", running.started, 90, stoppable=True, repeats=True)
    assert find(replace(running, state=BatchState.CONSOLIDATING)) == ActiveRun(
        "batch_b", running.started, 90, stoppable=False, repeats=False
    )


def test_a_batch_of_another_coordinator_has_no_progress_to_show():
    assert find(make_batch(state=BatchState.RUNNING, ended=None, record_source="logs")) is None


def test_a_run_stays_under_way_until_its_action_has_an_outcome():
    verifying = replace(ACTION, facts={"batch_id": "batch_b"})
    ended = make_batch(batch_id="batch_b", requested=90)
    assert find(ended, OLD, actions=(verifying,)) == ActiveRun("batch_b", NOW, 90, stoppable=False, repeats=True)
    assert find(ended, OLD, actions=(replace(verifying, ended_at=NOW),)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "2025-12-28"},
        {"action_name": "staging.drop_merged"},
        {"last_event_at": NOW - timedelta(hours=1)},
    ],
)
def test_an_action_of_another_date_or_kind_or_one_that_was_abandoned_is_no_run(changes):
    assert find(OLD, actions=(replace(ACTION, **changes),)) is None


def test_a_click_counts_before_anything_is_recorded():
    future: Future[Action] = Future()
    handle = ActionHandle("k", "run.start", str(NIGHT), "Re-run", NOW, future)
    assert find(OLD, pending=(handle,)) == ActiveRun("", NOW, None, stoppable=False, repeats=True)
    future.set_result(ACTION)
    assert find(OLD, pending=(handle,)) is None


def test_just_after_its_end_a_run_is_under_way_until_the_night_is_read_again():
    ended = replace(ACTION, facts={"batch_id": "batch_b"}, ended_at=NOW - timedelta(seconds=2))
    assert find_active_run(NIGHT, Batches((OLD,), ()), (ended,), (), NOW, is_night_read=True) is None
    held = find_active_run(NIGHT, Batches((OLD,), ()), (ended,), (), NOW, is_night_read=False)
    assert held is not None
    assert (held.batch_id, held.settling_id) == ("batch_b", "a1")
    long_ago = replace(ended, ended_at=NOW - timedelta(minutes=1))
    assert find_active_run(NIGHT, Batches((OLD,), ()), (long_ago,), (), NOW, is_night_read=False) is None


def test_a_rerun_is_called_so_while_the_batches_are_not_read():
    run = find_active_run(NIGHT, None, (ACTION,), (), NOW)
    assert run is not None
    assert run.repeats
