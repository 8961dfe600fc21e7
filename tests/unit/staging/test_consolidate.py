"""A batch is consolidated as an action, which is done only by the consolidator's own proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from google.cloud import bigquery

from services.actions.executor import execute, recover
from services.actions.log_reader import ActionState, read_action_log
from services.batches.ledger import BatchRecord, Ledger
from services.batches.state import BatchState
from services.core.errors import InvalidInput, OnCallError
from services.core.tables import PREDICTIONS_TABLE
from services.staging import consolidate
from services.staging.consolidate import CONSOLIDATE_BATCH
from tests.support.actors import OPERATOR
from tests.support.memory_rows import NIGHT, context_rows, prediction_row

NEXT_DAY = NIGHT + timedelta(days=1)
EARLIER, LATER = datetime(2025, 12, 29, 17, tzinfo=UTC), datetime(2025, 12, 29, 19, tzinfo=UTC)
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
    project.insert("nba_analytics.upcoming_player_game_context", context_rows(["ann", "bob", "cid"]))
    names = [stage(project, "ann"), stage(project, "bob")]
    project.clock.sleep(3600)  # the batch has ended
    return names


def run(clients):
    clients.clock.sleep(3600)  # the batch has ended
    return execute(clients, OPERATOR, CONSOLIDATE_BATCH, CONSOLIDATE_BATCH.plan(clients, ARGS))


def test_a_batch_is_consolidated_and_its_coverage_recorded(project, clients, staged):
    action = run(clients)
    assert action.state is ActionState.DONE
    assert action.message == (
        "2 rows added, 0 updated, 0 unchanged. No staging table of the batch remains. 2 of 3 eligible players are active."
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
    assert "All rows of the remaining 2 staging tables are merged" in action.message
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
        "Another process consolidated or dropped 2 staging tables meanwhile. No merge by this action is verified."
        in action.message
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


def changes(plan):
    return {change.what: change.after for change in plan.changes}


def failed_guards(plan):
    return {guard.name: (guard.ok, guard.message) for guard in plan.failed_guards}


@pytest.fixture
def drifted(project):
    """A table of one player that has a column by another name."""
    columns = [f for f in project.tables[PREDICTIONS_TABLE].fields if f.name != "confidence_score"]
    row = {key: value for key, value in prediction_row("cid").items() if key != "confidence_score"}
    columns.append(bigquery.SchemaField("confidence", "NUMERIC"))
    return stage(project, "cid", {**row, "confidence": Decimal(60)}, columns=columns)


def test_tables_with_other_columns_say_how_many_rows_they_hold(project, clients, staged, drifted):
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert plan.title == f"Consolidate 3 rows of 3 staging tables · {BATCH}"
    assert failed_guards(plan)["columns agree"] == (
        False,
        "1 of 3 tables, with 1 of 3 rows, have other columns than the first.",
    )


def test_what_cannot_be_compared_is_unknown_and_not_0(project, clients, drifted):
    project.clock.sleep(3600)
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert plan.title == f"Consolidate 1 row of 1 staging table · {BATCH}"
    assert changes(plan)["rows added"].startswith("unknown: ")
    assert changes(plan)["rows outdated"].startswith("unknown: ")
    assert failed_guards(plan)["rows compared"][0] is None


def test_the_plan_says_what_will_become_of_each_row_as_the_merge_then_does(project, clients, staged):
    project.insert(
        PREDICTIONS_TABLE,
        [
            prediction_row("ann", prediction_id="newer", created_at=LATER),
            prediction_row("bob", prediction_id="older", created_at=EARLIER, predicted_points=Decimal(9)),
            prediction_row("bob", prediction_id="line", created_at=EARLIER, current_points_line=Decimal("19.5")),
            prediction_row("bob", prediction_id="game", created_at=EARLIER, game_id="left"),
        ],
    )
    stage(project, "cid")
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert changes(plan) == {
        "rows by game date": "consolidated, 1 MERGE per date",
        "rows added": "1 whose key has no active row",
        "rows updated": "1 newer, with other values than the active row of their key",
        "rows unchanged": "0 with the values of the active row of their key",
        "rows outdated": "1 older than the active row of their key: none becomes active, nothing is replaced",
        "active rows retired": "1 lines that the players' newer rows no longer have",
        "active rows of another game": "1 in a game that the context has moved their player out of",
        "staging tables": "dropped after verification",
    }
    assert plan.warnings == ("1 of 3 rows are older than the rows of the predictions table, which stay.",)
    action = run(clients)
    assert action.state is ActionState.DONE, action.message
    assert (
        "1 rows added, 1 updated, 1 unchanged. 1 of these are older than the active rows, which stay." in action.message
    )


def test_rows_of_several_game_dates_are_planned_and_merged_by_date(project, clients, staged):
    name = stage(project, "cid", prediction_row("cid", game_date=NEXT_DAY), prediction_row("cid", system_id="x"))
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert plan.changes[0].before == "2025-12-29: 3; 2025-12-30: 1"
    assert plan.cost == "2 MERGEs, each over the rows of one game date."
    assert changes(plan)["rows added"].startswith("4 ")
    assert run(clients).state is ActionState.DONE
    assert len(project.rows(PREDICTIONS_TABLE)) == 4
    assert name not in project.tables


def test_rows_that_a_newer_table_of_the_batch_replaces_are_planned_as_they_are_then_counted(project, clients, staged):
    """Ann was asked for again: her newer table has another line, and all that the older one has is left out."""
    again = {"created_at": LATER, "prediction_id": "again"}
    stage(
        project,
        "ann_again",
        prediction_row("ann", **again),
        prediction_row("ann", current_points_line=Decimal("21.5"), **again),
    )
    stage(project, "cid", prediction_row("cid", **again), prediction_row("cid", system_id="x"))  # two times, one table
    project.clock.sleep(3600)
    planned = changes(CONSOLIDATE_BATCH.plan(clients, ARGS))
    assert planned["rows added"] == "5 whose key has no active row"
    assert planned["rows replaced"] == "1 of players that a newer table of the batch has again: left out"
    assert "rows collapsed" not in planned
    action = run(clients)
    assert (action.state, action.facts["staged rows"], action.facts["inserted"]) == (ActionState.DONE, 5, 5)


def test_a_batch_that_runs_on_any_of_the_dates_stops_the_consolidation(project, clients, staged):
    stage(project, "cid", prediction_row("cid", game_date=NEXT_DAY))
    project.clock.sleep(3600)
    Ledger(clients).append_state(
        BatchRecord("batch_2025-12-30_1767123000000", NEXT_DAY, BatchState.RUNNING, 1, "another")
    )
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert failed_guards(plan) == {"no running batch": (False, "batch_2025-12-30_1767123000000 is running.")}


def test_a_table_that_is_streamed_into_is_not_merged_away(project, clients, staged):
    project.tables[staged[1]].stream([prediction_row("bob", system_id="x")], project.clock.now())
    assert failed_guards(CONSOLIDATE_BATCH.plan(clients, ARGS))["no rows are streamed"] == (
        False,
        f"1 of 2 tables are still being streamed into, the first {staged[1]}."
        " Consolidate when the buffer is written, within 90 minutes.",
    )


def test_the_failed_state_of_the_batch_is_corrected(project, clients, staged):
    failed = BatchRecord(
        BATCH, NIGHT, BatchState.CONSOLIDATION_FAILED, 1, "another", details={"players": ["ann", "bob"]}, requested=2
    )
    Ledger(clients).append_state(failed)
    assert run(clients).state is ActionState.DONE
    record = Ledger(clients).latest(BATCH, NIGHT)
    assert record is not None
    assert (record.state, record.inserted) == (BatchState.CONSOLIDATED, 2)


def test_a_ledger_that_cannot_be_corrected_is_reported_and_the_rows_stay_merged(project, clients, staged, monkeypatch):
    def fail(*_):
        raise OnCallError("the ledger is down")

    monkeypatch.setattr(consolidate, "record_consolidated", fail)
    action = run(clients)
    assert action.state is ActionState.DONE
    assert any("could not be updated: the ledger is down" in step for _, step in action.steps)


@pytest.mark.parametrize("batch", ["", "batch_yesterday_1", "_staging_batch_2025_12_25_1766680200"])
def test_what_is_no_batch_is_refused_with_a_sentence(clients, batch):
    with pytest.raises(InvalidInput, match="is not a batch"):
        CONSOLIDATE_BATCH.plan(clients, {"batch_id": batch})


@pytest.mark.parametrize(
    ("limit_mib", "rows_added"),
    [
        (40, "2 whose key has no active row"),
        (39, "unknown: to count over 2 tables bills 40 MiB, and QUERY_LIMIT_MIB is 39"),
    ],
)
def test_what_would_bill_more_than_a_query_may_is_not_counted_and_stops_nothing(clients, staged, limit_mib, rows_added):
    clients = replace(clients, settings=clients.settings.model_copy(update={"max_bytes_billed_mib": limit_mib}))
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert changes(plan)["rows added"] == rows_added
    assert plan.failed_guards == ()


def test_tables_beside_the_units_make_the_counts_unknown_but_stop_nothing(project, clients, staged):
    """An older version's copies of a batch have its prefix, so a query over the prefix would count their rows twice."""
    name = staged[0].replace("_p_ann", "_compact_1")
    project.create_table(name, project.tables[staged[0]].fields)
    project.insert(name, project.rows(staged[0]))
    project.clock.sleep(3600)
    plan = CONSOLIDATE_BATCH.plan(clients, ARGS)
    assert changes(plan)["rows added"] == "unknown: 3 tables cannot be counted by one query"
    assert plan.failed_guards == ()
