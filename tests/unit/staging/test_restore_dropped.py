"""A table that was dropped and restored is as old as before, so that it is reported as before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.actions.executor import execute
from services.actions.log_reader import ActionState
from services.batches.reader import read_batches
from services.core.tables import PREDICTIONS_TABLE
from services.staging.drop import DROP_ORPHAN
from services.staging.inventory import StagingTableState, read_inventory
from services.staging.restore_dropped import UNDO_DROP
from tests.support.actors import OPERATOR
from tests.support.memory_rows import NIGHT, prediction_row

NAME = "_staging_batch_2025_12_29_1767037620000_p_ann"
DAY_S = 24 * 3600


@pytest.fixture
def old_table(project):
    project.create_table(f"nba_predictions.{NAME}", project.tables[PREDICTIONS_TABLE].fields)
    project.insert(f"nba_predictions.{NAME}", [prediction_row("ann")])
    project.clock.sleep(2 * DAY_S)


def drop_and_restore(project, clients):
    dropped = execute(clients, OPERATOR, DROP_ORPHAN, DROP_ORPHAN.plan(clients, {"tables": [NAME]}), "why", NAME)
    assert dropped.state is ActionState.DONE, dropped.message
    project.clock.sleep(3600)
    restored = execute(clients, OPERATOR, UNDO_DROP, UNDO_DROP.plan(clients, {"action_id": dropped.action_id}))
    assert restored.state is ActionState.DONE, restored.message
    return dropped


@pytest.mark.parametrize("times", [1, 2])
def test_a_restored_table_keeps_its_age_and_stays_an_orphan(project, clients, old_table, times):
    before = read_inventory(clients).tables[0]
    for _ in range(times):
        drop_and_restore(project, clients)
    [after] = read_inventory(clients).tables
    assert (after.created, after.state) == (before.created, StagingTableState.ORPHAN)
    assert project.tables[f"nba_predictions.{NAME}"].created > before.created + timedelta(days=2)
    assert read_batches(clients, NIGHT).running == (), "it is no trace of a batch that runs now"


def test_a_table_without_its_age_is_not_called_restored_as_it_was(project, clients, old_table):
    def lose_labels(call, phase, _subject):
        if (call, phase) == ("tables.patch", "after"):
            project.tables[f"nba_predictions.{NAME}"].labels = {}

    clients.bigquery.hook = lose_labels
    with pytest.raises(AssertionError, match="different"):
        drop_and_restore(project, clients)
