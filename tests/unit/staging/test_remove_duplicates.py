"""Of the active rows of one key the newest stays, by one statement under the date's lease, and the removal can be undone."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from google.api_core.exceptions import Conflict, ServiceUnavailable
from google.cloud import bigquery

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.batches.ledger import BatchRecord, Ledger
from services.batches.state import BatchState
from services.core.errors import InvalidInput
from services.core.tables import PREDICTIONS_TABLE
from services.pipeline import lease as leases
from services.pipeline.warehouse import BigQueryWarehouse
from services.staging.active_rows import read_active_rows
from services.staging.remove_duplicates import REMOVE_DUPLICATES, removal_reason
from services.staging.restore_duplicates import RESTORE_DUPLICATES
from tests.support.actors import OPERATOR
from tests.support.memory_rows import NIGHT, prediction_row

ARGS = {"game_date": NIGHT.isoformat()}
AT = datetime(2025, 12, 29, 18, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def read_rows(project):
    """Every row, but for the time at which it was changed last."""
    rows = [{**row, "updated_at": None} for row in project.rows(PREDICTIONS_TABLE)]
    return sorted(rows, key=lambda row: str(list(row.values())))


def active_ids(project):
    return sorted(row["prediction_id"] for row in project.rows(PREDICTIONS_TABLE) if row["is_active"])


def run(clients, verb=REMOVE_DUPLICATES, **args):
    clients.clock.sleep(1)
    return execute(clients, OPERATOR, verb, verb.plan(clients, args or ARGS))


@pytest.fixture
def doubled(project):
    """Keys with two rows, two without a line, exact twins, old twins, one id at two times; with one active row; of another date."""
    no_line = {"current_points_line": None}
    project.insert(
        PREDICTIONS_TABLE,
        [
            prediction_row("ann", prediction_id="ann-new", created_at=LATER),
            prediction_row("ann", prediction_id="ann-old"),
            prediction_row("ann", prediction_id="ann-half", current_points_line=Decimal("21")),
            prediction_row("bob", prediction_id="bob-1", **no_line),
            prediction_row("bob", prediction_id="bob-2", **no_line),
            prediction_row("cid"),
            prediction_row("cid"),
            prediction_row("dee", prediction_id="dee-old"),
            prediction_row("dee", prediction_id="dee-old"),
            prediction_row("dee", prediction_id="dee-new", created_at=LATER),
            prediction_row("eve"),
            prediction_row("eve", prediction_id="eve-newer", created_at=LATER, is_active=False, superseded=True),
            prediction_row("ann", prediction_id="ann-oldest", is_active=False, superseded_reason="a newer run"),
            prediction_row("fay", game_date=NIGHT - timedelta(days=1)),
            prediction_row("fay", game_date=NIGHT - timedelta(days=1)),
            prediction_row("gus"),
            prediction_row("gus", created_at=LATER),
        ],
    )
    return read_rows(project)


AFTER = ["ann-half", "ann-new", "bob-2", "cid-0", "dee-new", "eve-0", "fay-0", "fay-0", "gus-0"]


def test_of_the_active_rows_of_a_key_the_newest_stays_and_no_row_is_deleted(project, clients, doubled):
    action = run(clients)
    assert action.state is ActionState.DONE, action.message
    assert active_ids(project) == AFTER
    assert len(project.rows(PREDICTIONS_TABLE)) == len(doubled) + 1, "of exact twins one copy is inserted"
    assert [
        row["created_at"]
        for row in project.rows(PREDICTIONS_TABLE)
        if row["player_lookup"] == "gus" and row["is_active"]
    ] == [LATER]
    superseded = [r for r in project.rows(PREDICTIONS_TABLE) if r["superseded_reason"] not in (None, "a newer run")]
    assert [
        row["prediction_id"] for row in superseded if row["superseded_reason"] != removal_reason(action.action_id)
    ] == []
    assert sorted(row["prediction_id"] for row in superseded) == [
        "ann-old",
        "bob-1",
        "cid-0",
        "cid-0",
        "dee-old",
        "dee-old",
        "gus-0",
    ]
    assert all(row["superseded"] and not row["is_active"] and row["superseded_at"] for row in superseded)


def test_the_plan_has_the_statement_as_a_command(project, clients, doubled):
    assert run_command(clients, REMOVE_DUPLICATES.plan(clients, ARGS)) == ["game_date", "at", "reason"]
    assert active_ids(project) == AFTER


def run_command(clients, plan):
    """Run the statement of a plan's bq command; the names of its parameters."""
    (command,) = plan.commands
    *options, standard_input, sql = shlex.split(command)
    assert (options[:2], standard_input) == (["bq", "query"], "<<<")
    options = [option for option in options if option.startswith("--parameter=")]
    parameters = [
        bigquery.ScalarQueryParameter(name, kind, value)
        for name, kind, value in (option.removeprefix("--parameter=").split(":", 2) for option in options)
    ]
    clients.bigquery.query(sql, bigquery.QueryJobConfig(query_parameters=parameters)).result()
    return [parameter.name for parameter in parameters]


def test_the_plan_of_an_undo_has_its_statement_as_a_command(project, clients, doubled):
    removed = run(clients)
    plan = RESTORE_DUPLICATES.plan(clients, {"action_id": removed.action_id})
    assert run_command(clients, plan) == ["game_date", "at", "removal"]
    assert read_rows(project) == doubled


def test_the_plan_counts_the_duplicates_and_names_examples(clients, doubled):
    plan = REMOVE_DUPLICATES.plan(clients, ARGS)
    assert plan.title == f"Remove 6 duplicates of 5 keys · {NIGHT}"
    assert plan.changes[0].before == "5 of 7, with 11 rows"
    assert {change.what: (change.before, change.after) for change in plan.changes[1:]} == {
        "ann, ensemble_v1, 20.5, 20251229_NYK_NOP": (
            "2 active rows, of 29 Dec 19:00:00, 29 Dec 18:00:00 UTC",
            "ann-new stays, the newest",
        ),
        "bob, ensemble_v1, no line, 20251229_NYK_NOP": (
            "2 active rows, of 29 Dec 18:00:00, 29 Dec 18:00:00 UTC",
            "bob-2 stays, the newest",
        ),
        "cid, ensemble_v1, 20.5, 20251229_NYK_NOP": (
            "2 active rows, of 29 Dec 18:00:00, 29 Dec 18:00:00 UTC",
            "one of these twins stays",
        ),
        "dee, ensemble_v1, 20.5, 20251229_NYK_NOP": (
            "3 active rows, of 29 Dec 19:00:00, 29 Dec 18:00:00, 29 Dec 18:00:00 UTC",
            "dee-new stays, the newest",
        ),
        "gus, ensemble_v1, 20.5, 20251229_NYK_NOP": (
            "2 active rows, of 29 Dec 19:00:00, 29 Dec 18:00:00 UTC",
            "gus-0 stays, the newest",
        ),
    }


def mutating_jobs(project):
    return {id for id, job in project.jobs.items() if job.statement_type not in ("SELECT", "INSERT", "")}


def test_a_removal_is_one_statement_whose_job_id_belongs_to_the_lease(project, clients, doubled):
    removed = run(clients)
    assert mutating_jobs(project) == {leases.Lease(NIGHT, 1, "").merge_job_id}
    run(clients, RESTORE_DUPLICATES, action_id=removed.action_id)
    assert mutating_jobs(project) == {leases.Lease(NIGHT, 1, "").merge_job_id, leases.Lease(NIGHT, 2, "").merge_job_id}


def test_a_second_removal_has_nothing_to_do(clients, doubled):
    run(clients)
    with pytest.raises(ActionRefused, match="0 keys have more than one active row"):
        run(clients)


def test_a_removal_can_be_undone_row_by_row(project, clients, doubled):
    removed = run(clients)
    restored = run(clients, RESTORE_DUPLICATES, action_id=removed.action_id)
    assert restored.state is ActionState.DONE, restored.message
    assert read_rows(project) == doubled
    with pytest.raises(ActionRefused, match="0 rows superseded by that action"):
        run(clients, RESTORE_DUPLICATES, action_id=removed.action_id)


def test_a_removal_is_not_undone_after_a_newer_run_has_changed_the_active_rows(project, clients, doubled):
    removed = run(clients)
    project.insert(PREDICTIONS_TABLE, [prediction_row("hal")])
    with pytest.raises(ActionRefused, match="have changed since"):
        run(clients, RESTORE_DUPLICATES, action_id=removed.action_id)


def test_nothing_is_changed_while_a_consolidation_has_the_lease(project, clients, doubled):
    lease = leases.acquire(BigQueryWarehouse(clients), NIGHT, "another consolidation")
    failed = run(clients)
    assert failed.state is ActionState.FAILED
    assert str(NIGHT) in failed.message
    assert read_rows(project) == doubled
    leases.release(BigQueryWarehouse(clients), lease)
    assert run(clients).state is ActionState.DONE


@pytest.mark.parametrize("verb", [REMOVE_DUPLICATES, RESTORE_DUPLICATES])
def test_the_lease_is_released_and_nothing_changed_when_the_rows_changed_after_the_plan(
    project, clients, doubled, verb
):
    """The executor plans again, but not under the lease: a consolidation may end in between."""
    args = ARGS if verb is REMOVE_DUPLICATES else {"action_id": run(clients).action_id}
    plan, before = verb.plan(clients, args), read_rows(project)
    outdated = replace(plan, preconditions=dict.fromkeys(plan.preconditions, "other rows"))
    failed = execute(clients, OPERATOR, replace(verb, plan=lambda *_: outdated), outdated)
    assert failed.state is ActionState.FAILED
    assert "changed after the plan was built; nothing was changed" in failed.message
    assert read_rows(project) == before
    assert run(clients, verb, **args).state is ActionState.DONE, "the lease is free again"


def test_an_answer_that_was_lost_after_the_statement_is_not_a_failure(project, clients, doubled):
    def lose_the_answer(call, phase, _subject):
        if (call, phase) == ("MERGE", "after"):
            raise ServiceUnavailable("connection reset")

    clients.bigquery.hook = lose_the_answer
    action = run(clients)
    assert action.state is ActionState.DONE
    assert "connection reset" in action.message
    assert active_ids(project) == AFTER


def test_a_statement_that_was_sent_twice_is_waited_for(project, clients, doubled):
    """After a lost answer the client repeats the call, and BigQuery refuses the id that its own job has."""
    asked = []

    def refuse_the_repetition(call, phase, subject):
        if (call, phase) == ("MERGE", "after"):
            raise Conflict("Already Exists: Job")
        if call == "jobs.get":
            asked.append(subject)

    clients.bigquery.hook = refuse_the_repetition
    assert run(clients).state is ActionState.DONE
    assert leases.Lease(NIGHT, 1, "").merge_job_id in asked


def test_a_statement_that_failed_is_a_failure(project, clients, doubled):
    def refuse(call, phase, _subject):
        if (call, phase) == ("MERGE", "job"):
            raise ServiceUnavailable("no capacity")

    clients.bigquery.hook = refuse
    action = run(clients)
    assert action.state is ActionState.FAILED
    assert "5 keys still have more than one active row" in action.message
    assert read_rows(project) == doubled


def test_rows_that_another_process_changed_meanwhile_are_not_called_done(project, clients, doubled):
    def change(call, phase, _subject):
        if (call, phase) == ("MERGE", "after"):
            project.insert(PREDICTIONS_TABLE, [prediction_row("hal")])

    clients.bigquery.hook = change
    assert run(clients).state is ActionState.UNVERIFIED


def guard_messages(clients, verb=REMOVE_DUPLICATES, **args):
    return [guard.message for guard in verb.plan(clients, args or ARGS).failed_guards]


def test_nothing_is_removed_or_restored_while_a_batch_runs(clients, doubled):
    removed = run(clients)
    Ledger(clients).append_state(BatchRecord("batch_2025-12-29_1767037620000", NIGHT, BatchState.RUNNING, 1, "another"))
    assert "batch_2025-12-29_1767037620000 is running." in guard_messages(clients)
    assert guard_messages(clients, RESTORE_DUPLICATES, action_id=removed.action_id) == [
        "batch_2025-12-29_1767037620000 is running."
    ]


def test_nothing_is_removed_from_a_table_that_is_streamed_into(project, clients, doubled):
    project.tables[PREDICTIONS_TABLE].stream([prediction_row("hal")], AT)
    assert any("being streamed" in message for message in guard_messages(clients))


def test_nothing_is_removed_from_a_table_that_cannot_say_why_a_row_is_superseded(project, clients, doubled):
    table = project.tables[PREDICTIONS_TABLE]
    project.create_table(PREDICTIONS_TABLE, [f for f in table.fields if f.name != "superseded_at"], "game_date")
    project.insert(PREDICTIONS_TABLE, [{k: v for k, v in row.items() if k != "superseded_at"} for row in doubled])
    assert guard_messages(clients) == ["The predictions table has no column superseded_at."]


def test_columns_of_any_type_are_copied_as_they_are(project, clients):
    fields = [*project.tables[PREDICTIONS_TABLE].fields, bigquery.SchemaField("features", "JSON")]
    project.create_table(PREDICTIONS_TABLE, [*fields, bigquery.SchemaField("tags", "STRING", "REPEATED")], "game_date")
    twin = {**prediction_row("ann"), "features": {"pace": 101}, "tags": ["a", "b"]}
    project.insert(PREDICTIONS_TABLE, [twin, twin])
    assert run(clients).state is ActionState.DONE
    [active] = [row for row in project.rows(PREDICTIONS_TABLE) if row["is_active"]]
    assert (active["features"], active["tags"]) == ({"pace": 101}, ["a", "b"])


@pytest.mark.parametrize("game_date", ["", "soon", None])
def test_what_is_no_game_date_is_refused_with_a_sentence(clients, game_date):
    with pytest.raises(InvalidInput, match="is not a game date"):
        REMOVE_DUPLICATES.plan(clients, {"game_date": game_date})


@pytest.mark.parametrize("action_id", ["", "no such action", None])
def test_only_a_removal_can_be_undone(clients, action_id):
    with pytest.raises(InvalidInput, match="removed no duplicates"):
        RESTORE_DUPLICATES.plan(clients, {"action_id": action_id})


def test_a_restore_itself_cannot_be_undone_by_a_restore(clients, doubled):
    restored = run(clients, RESTORE_DUPLICATES, action_id=run(clients).action_id)
    with pytest.raises(InvalidInput, match="removed no duplicates"):
        RESTORE_DUPLICATES.plan(clients, {"action_id": restored.action_id})


def test_a_line_is_compared_as_a_decimal(project, clients):
    lines = [Decimal("20.5"), Decimal("20.50"), Decimal("21")]
    project.insert(
        PREDICTIONS_TABLE,
        [prediction_row("ann", prediction_id=str(n), current_points_line=line) for n, line in enumerate(lines)],
    )
    assert [key.current_points_line for key in read_active_rows(clients, NIGHT).duplicates] == ["20.5"]
