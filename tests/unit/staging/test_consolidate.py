"""A batch is consolidated as an action, which is done only by the consolidator's own proof."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import Forbidden
from google.cloud import bigquery

from services.actions.executor import execute, recover
from services.actions.log_reader import ActionState, read_action_log
from services.batches.ledger import BatchRecord, Ledger
from services.batches.state import BatchState
from services.core.tables import PREDICTIONS_TABLE
from services.staging.consolidate import CONSOLIDATE_BATCH
from tests.support.actors import OPERATOR
from tests.support.memory_rows import context_rows, prediction_row

BATCH = "batch_2025-12-29_1767037620000"
ARGS = {"batch_id": BATCH}


def stage(project, player, *rows, columns=None):
    """A staging table of one player; with the predictions table's columns."""
    name = f"nba_predictions._staging_{BATCH.replace('-', '_')}_p_{player}"
    project.create_table(name, columns or project.tables[PREDICTIONS_TABLE].fields)
    project.insert(name, rows or [prediction_row(player)])
    return name


@pytest.fixture
def staged(project):
    project.insert("nba_analytics.upcoming_player_game_context", context_rows(["ann", "bob"]))
    names = [stage(project, "ann"), stage(project, "bob")]
    project.clock.sleep(3600)  # the batch has ended
    return names


def run(clients):
    clients.clock.sleep(1)
    return execute(clients, OPERATOR, CONSOLIDATE_BATCH, CONSOLIDATE_BATCH.plan(clients, ARGS))


def test_a_batch_is_consolidated_and_its_coverage_recorded(project, clients, staged):
    action = run(clients)
    assert action.state is ActionState.DONE
    assert action.message == (
        "2 rows added, 0 updated, 0 unchanged. No staging table of the batch is left. 2 of 2 eligible players are active."
    )
    assert not set(staged) & set(project.tables)


def test_a_proof_that_failed_is_never_recorded_as_done(project, clients, staged):
    """All rows are in the table, and one of them twice: the consolidator says so, and keeps the staging tables."""

    def insert_by_hand(call, phase, _subject):
        if (call, phase) == ("MERGE", "commit"):
            project.insert(PREDICTIONS_TABLE, [prediction_row("ann", prediction_id="by hand")])

    clients.bigquery.hook = insert_by_hand
    action = run(clients)
    assert action.state is ActionState.FAILED
    assert "Every row of the 2 staging tables left is in the predictions table" in action.message
    assert set(staged) <= set(project.tables)


def test_tables_that_another_process_took_leave_the_outcome_unverified(project, clients, staged):
    def drop_all(call, phase, _subject):
        if (call, phase) == ("copy", "before"):
            for name in staged:
                project.tables.pop(name, None)

    clients.bigquery.hook = drop_all
    action = run(clients)
    assert action.state is ActionState.UNVERIFIED
    assert (
        "Another process took 2 staging tables meanwhile. This action merged nothing that is proven." in action.message
    )


def test_an_action_whose_process_died_is_not_called_done_because_no_table_is_left(project, clients, staged):
    class Killed(BaseException):
        pass

    def die(call, phase, _subject):
        if (call, phase) == ("INSERT", "before") and not set(staged) & set(project.tables):
            raise Killed

    clients.bigquery.hook = die
    with pytest.raises(Killed):
        run(clients)
    clients.bigquery.hook = lambda *_: None
    now = clients.now()
    [action] = read_action_log(clients, now.replace(hour=0), now.replace(hour=23)).actions
    assert recover(clients, CONSOLIDATE_BATCH, action).state is ActionState.UNVERIFIED


def test_tables_with_other_columns_still_say_how_many_rows_they_hold(project, clients):
    columns = [f for f in project.tables[PREDICTIONS_TABLE].fields if f.name != "confidence_score"]
    columns.append(bigquery.SchemaField("confidence", "NUMERIC"))
    row = {key: value for key, value in prediction_row("cid").items() if key != "confidence_score"}
    stage(project, "cid", {**row, "confidence": Decimal(60)}, columns=columns)
    project.clock.sleep(3600)
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert plan.title == f"Consolidate {BATCH}: 1 rows of 1 staging table"
    assert plan.changes[0].after == "unknown"
    [guard] = plan.failed_guards
    assert guard.ok is None
    assert guard.message.startswith(
        "_staging_batch_2025_12_29_1767037620000_p_cid, with 1 row, is not proven to be merged:"
    )


@pytest.mark.parametrize(("unanswered", "state"), [((), "consolidated"), (("cid",), "stalled")])
def test_the_failed_state_of_a_batch_is_corrected_when_its_tables_are_consolidated(
    project, clients, staged, unanswered, state
):
    ledger, night = Ledger(clients), date(2025, 12, 29)
    details = {"players": ["ann", "bob", *unanswered]}
    failed = BatchRecord(BATCH, night, BatchState.CONSOLIDATION_FAILED, 5, "coordinator", requested=2, details=details)
    ledger.append_state(failed)
    assert run(clients).state is ActionState.DONE
    corrected = ledger.latest(BATCH, night)
    assert corrected is not None
    assert (corrected.state, corrected.sequence, corrected.inserted) == (state, 6, 2)


def test_a_consolidation_whose_batch_state_cannot_be_corrected_is_done_all_the_same(project, clients, staged):
    def refuse_reads_of_states(call, phase, subject):
        if (call, phase) == ("SELECT", "before") and not set(staged) & set(project.tables):
            raise Forbidden("no", errors=[{"reason": "accessDenied"}])

    clients.bigquery.hook = refuse_reads_of_states
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    context: Any = SimpleNamespace(clients=clients, plan=plan, report_progress=lambda *_, **__: None)
    details = CONSOLIDATE_BATCH.apply(context)
    assert (details["inserted"], details["batch state"].startswith("not corrected: ")) == (2, True)
