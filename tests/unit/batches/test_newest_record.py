"""The newest batch's sums: none without a batch of ours, and unknown, not none, while the ledger cannot be read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from services.batches import newest_record
from services.batches.reader import Batches
from services.core.errors import SourceUnavailable
from services.core.result import Problem
from tests.support.alert_factories import BATCH, make_batch, make_batch_record
from tests.support.factories import NIGHT, NOW


@pytest.fixture
def read(monkeypatch):
    def read_of(batches: Batches) -> Any:
        ledger = SimpleNamespace(latest=lambda batch_id, day: make_batch_record(batch_id=batch_id, game_date=day))
        monkeypatch.setattr(newest_record, "read_batches", lambda *_: batches)
        monkeypatch.setattr(newest_record, "Ledger", lambda _: ledger)
        clients: Any = None
        return newest_record.read_newest_record(clients, NIGHT)

    return read_of


def test_the_newest_batch_of_the_ledger_has_its_record(read):
    assert read(Batches((make_batch(),), ())).batch_id == BATCH


@pytest.mark.parametrize("batches", [(), (make_batch(record_source="logs"), make_batch())])
def test_no_batch_or_one_that_is_known_from_the_log_has_none(read, batches):
    assert read(Batches(batches, ())) is None


def test_an_unreadable_ledger_is_unknown_and_an_absent_one_is_not(read):
    problem = Problem("batch ledger", NOW, "BigQuery did not answer.")
    from_log = (make_batch(record_source="logs"),)
    with pytest.raises(SourceUnavailable, match="did not answer"):
        read(Batches(from_log, (), (problem,)))
    assert read(Batches(from_log, (), (), (problem,))) is None
