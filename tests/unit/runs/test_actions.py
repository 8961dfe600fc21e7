"""Which batch a run action is about: by its id, even when the answer was lost; and never "none" while the ledger cannot be read."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.actions.log_reader import ActionState
from services.batches.reader import Batches
from services.batches.state import BatchState
from services.core.errors import InvalidInput, SourceUnavailable
from services.core.result import Problem
from services.runs import actions
from services.runs.actions import RESUME_BATCH, START_RUN
from tests.support.alert_factories import BATCH, NOW, make_batch, make_players
from tests.support.factories import NIGHT, make_night

CLIENTS: Any = SimpleNamespace(now=lambda: NOW)
UNREADABLE = Problem("batch ledger", NOW, "no answer")
RESUMED = make_batch(state=BatchState.CONSOLIDATED, started=NOW - timedelta(hours=1))
STARTED = make_batch(state=BatchState.CONSOLIDATED, started=NOW + timedelta(seconds=1))


def verify(monkeypatch, action_type, args, *batches, problems=(), details=None):
    monkeypatch.setattr(actions, "read_batches", lambda *_: Batches(batches, (), problems))
    monkeypatch.setattr(actions, "read_night", lambda *_: make_night(*make_players(3)))
    plan: Any = SimpleNamespace(target=str(NIGHT), args=args, preconditions={"lost": {}}, planned_at=NOW)
    return action_type.verify(CLIENTS, plan, details or {}).state


def test_a_resume_whose_answer_was_lost_is_judged_by_its_batch(monkeypatch):
    assert verify(monkeypatch, RESUME_BATCH, {"batch_id": BATCH}, RESUMED) is ActionState.DONE


def test_a_start_whose_answer_was_lost_is_judged_by_the_batch_that_began_since(monkeypatch):
    assert verify(monkeypatch, START_RUN, {"game_date": str(NIGHT)}, STARTED, RESUMED) is ActionState.DONE
    assert verify(monkeypatch, START_RUN, {"game_date": str(NIGHT)}, RESUMED) is ActionState.FAILED


def test_a_batch_is_not_called_missing_while_the_ledger_cannot_be_read(monkeypatch):
    for details in ({}, {"batch_id": BATCH}):
        with pytest.raises(SourceUnavailable, match=r"batches of .* could not be read: no answer"):
            verify(monkeypatch, START_RUN, {"game_date": str(NIGHT)}, problems=(UNREADABLE,), details=details)
    with pytest.raises(SourceUnavailable, match="could not be read"):
        actions.read_batch(CLIENTS, {"batch_id": BATCH})
    assert verify(monkeypatch, RESUME_BATCH, {"batch_id": BATCH}, RESUMED, problems=(UNREADABLE,)) is ActionState.DONE


def test_a_batch_that_nobody_recorded_is_refused(monkeypatch):
    monkeypatch.setattr(actions, "read_batches", lambda *_: Batches((), ()))
    with pytest.raises(InvalidInput, match=f"No batch {BATCH} is recorded"):
        actions.read_batch(CLIENTS, {"batch_id": BATCH})
