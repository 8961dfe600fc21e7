"""That no batch runs is known only where the ledger could be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.batches.reader import Batch, Batches
from services.batches.state import BatchState
from services.core.errors import OnCallError
from services.core.result import Health, Problem
from services.staging import running_batch
from services.staging.running_batch import check_no_batch_runs, guard_no_batch_runs
from tests.support.factories import NIGHT, NOW

ENDED = Batch("b1", NIGHT, BatchState.CONSOLIDATED, NOW, NOW, "", 1, 1, 25, 25, "", Health.OK, "ledger")
RUNNING = replace(ENDED, batch_id="b2", state=BatchState.RUNNING)
LEDGER_DOWN = Problem("batch ledger", NOW, "BigQuery did not answer")


@pytest.mark.parametrize(
    ("batches", "problems", "among", "ok"),
    [
        ((ENDED,), (), None, True),
        ((RUNNING, ENDED), (), None, False),
        ((RUNNING, ENDED), (), {"b1"}, True),
        ((RUNNING, ENDED), (), {"b2"}, False),
        ((ENDED,), (LEDGER_DOWN,), None, None),
        ((), (LEDGER_DOWN,), {"b2"}, None),
        ((RUNNING,), (LEDGER_DOWN,), None, False),
        ((ENDED,), (replace(LEDGER_DOWN, source="coordinator log"),), None, True),
    ],
)
def test_no_batch_runs_only_where_the_ledger_says_so(batches, problems, among, ok):
    assert check_no_batch_runs(Batches(batches, (), problems), NIGHT, among).ok is ok


def test_the_guard_names_the_batch_that_runs_and_the_reason_why_it_is_unknown():
    assert check_no_batch_runs(Batches((RUNNING,), ()), NIGHT).message == "b2 is running."
    assert "BigQuery did not answer" in check_no_batch_runs(Batches((), (), (LEDGER_DOWN,)), NIGHT).message


def test_batches_that_cannot_be_read_at_all_are_unknown(monkeypatch):
    def fail(*_):
        raise OnCallError("No record of batches can be read.")

    monkeypatch.setattr(running_batch, "read_batches", fail)
    clients: Any = None
    guard = guard_no_batch_runs(clients, NIGHT)
    assert guard.ok is None
    assert "No record of batches can be read." in guard.message
