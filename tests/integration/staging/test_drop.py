"""Dropping staging tables: nothing without proof, and what is dropped can be restored row by row."""

import pytest

from services.actions.executor import ActionRefused, execute
from services.actions.log_reader import ActionState
from services.auth.roles import InsufficientRole
from services.core.errors import InvalidInput
from services.core.tables import PREDICTIONS_TABLE_NAME
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.merge_proof import read_proofs
from services.staging.restore_dropped import UNDO_DROP
from tests.integration.staging.conftest import list_staging_tables, read_rows, run_sql
from tests.support.actors import OPERATOR, VIEWER

DATASET = "nba_predictions"
LEFTOVER_BATCH = "batch_2025-12-25_1766680200"


def test_merged_tables_are_dropped_and_restored_identically(module_clients, plan_and_execute, merged_tables):
    before = {name: read_rows(module_clients, name) for name in merged_tables}
    dropped = plan_and_execute(DROP_MERGED, tables=merged_tables)
    assert dropped.state is ActionState.DONE
    assert dropped.title == "Drop 6 staging tables · all rows merged"
    assert list_staging_tables(module_clients, "batch_2025_12_23") == []
    restored = plan_and_execute(UNDO_DROP, action_id=dropped.action_id)
    assert restored.state is ActionState.DONE, restored.message
    assert {name: read_rows(module_clients, name) for name in merged_tables} == before


def test_no_table_of_a_batch_that_has_just_begun_is_dropped(module_clients, merged_tables, start_batch):
    start_batch("batch_2025-12-23_1766507400")
    guards = {guard.name: guard for guard in DROP_MERGED.plan(module_clients, {"tables": merged_tables[:1]}).guards}
    assert (guards["no running batch"].ok, guards["no running batch"].message) == (
        False,
        "batch_2025-12-23_1766507400 is running.",
    )


def test_one_unmerged_row_prevents_the_drop(module_clients, plan_and_execute, merged_tables, recorded_actions):
    run_sql(
        module_clients,
        f"INSERT INTO {DATASET}.{merged_tables[0]} SELECT * REPLACE('nobody' AS player_lookup) FROM {DATASET}.{merged_tables[0]} LIMIT 1",
    )
    with pytest.raises(ActionRefused, match="1 of 26 rows are not in the predictions table"):
        plan_and_execute(DROP_MERGED, tables=merged_tables[:1])
    assert merged_tables[0] in list_staging_tables(module_clients, "batch_2025_12_23")
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]
    run_sql(module_clients, f"DELETE FROM {DATASET}.{merged_tables[0]} WHERE player_lookup = 'nobody'")


def test_one_changed_row_prevents_the_drop(module_clients, plan_and_execute, merged_tables):
    table = f"{DATASET}.{merged_tables[1]}"
    condition = f"system_id = 'ensemble_v1' AND current_points_line = (SELECT MIN(current_points_line) FROM {table})"
    run_sql(module_clients, f"UPDATE {table} SET predicted_points = predicted_points + 0.5 WHERE {condition}")
    with pytest.raises(ActionRefused, match="0 of 25 rows are not in the predictions table, 1 differ"):
        plan_and_execute(DROP_MERGED, tables=merged_tables[1:2])
    assert merged_tables[1] in list_staging_tables(module_clients, "batch_2025_12_23")
    run_sql(module_clients, f"UPDATE {table} SET predicted_points = predicted_points - 0.5 WHERE {condition}")


def test_an_unverifiable_table_is_kept_and_the_others_are_still_verified(
    module_clients, plan_and_execute, merged_tables
):
    run_sql(
        module_clients,
        f"CREATE TABLE {DATASET}._staging_batch_2025_12_23_1766507400_worker_odd AS SELECT 1 AS something",
    )
    malformed_table = "_staging_batch_2025_12_23_1766507400_worker_odd"
    proofs = {proof.table: proof for proof in read_proofs(module_clients, [malformed_table, merged_tables[0]]).proofs}
    assert proofs[malformed_table].unmerged_rows is None
    assert proofs[merged_tables[0]].unmerged_rows == 0
    with pytest.raises(ActionRefused, match="not verified"):
        plan_and_execute(DROP_MERGED, tables=[malformed_table, merged_tables[0]])
    assert {malformed_table, merged_tables[0]} <= set(list_staging_tables(module_clients, "batch_2025_12_23"))
    assert (
        plan_and_execute(DROP_ORPHAN, "a test left it", malformed_table, tables=[malformed_table]).state
        is ActionState.DONE
    )


def test_a_staged_row_changed_between_plan_and_apply_is_refused_with_the_difference(
    module_clients, merged_tables, recorded_actions
):
    plan = DROP_MERGED.plan(module_clients, {"tables": merged_tables[:1]})
    run_sql(
        module_clients,
        f"UPDATE {DATASET}.{merged_tables[0]} SET prediction_id = 'another' WHERE system_id = 'ensemble_v1'",
    )
    with pytest.raises(ActionRefused, match=r"content: -?\d+ → -?\d+"):
        execute(module_clients, OPERATOR, DROP_MERGED, plan)
    assert merged_tables[0] in list_staging_tables(module_clients, "batch_2025_12_23")
    assert [action.state for action in recorded_actions()] == [ActionState.REFUSED]


def test_a_table_dropped_after_the_plan_is_reported_and_not_counted_as_dropped(
    module_clients, plan_and_execute, merged_tables
):
    plan = DROP_MERGED.plan(module_clients, {"tables": merged_tables[:2]})
    dropped = plan_and_execute(DROP_MERGED, tables=merged_tables[:1])
    with pytest.raises(ActionRefused, match="there: True → False"):
        execute(module_clients, OPERATOR, DROP_MERGED, plan)
    plan_and_execute(UNDO_DROP, action_id=dropped.action_id)


@pytest.mark.parametrize("chosen", [None, [], (), ""])
def test_an_empty_selection_is_an_error_and_never_means_all(module_clients, chosen):
    with pytest.raises(InvalidInput, match="No staging table was chosen"):
        DROP_MERGED.plan(module_clients, {"tables": chosen})


@pytest.mark.parametrize(
    "name", [PREDICTIONS_TABLE_NAME, "_staging_x; DROP TABLE y", "_staging_*", "nba_raw._staging_x"]
)
def test_a_name_that_is_no_staging_table_is_never_planned(module_clients, name):
    with pytest.raises(InvalidInput, match="is not a staging table"):
        DROP_MERGED.plan(module_clients, {"tables": [name]})


def test_an_orphan_is_dropped_only_with_a_reason_and_its_typed_name(module_clients, plan_and_execute, unmerged_tables):
    name = unmerged_tables[0]
    with pytest.raises(ActionRefused, match="a reason is required"):
        plan_and_execute(DROP_ORPHAN, reason=" ", typed=name, tables=[name])
    with pytest.raises(ActionRefused, match="must be typed"):
        plan_and_execute(DROP_ORPHAN, typed=name[:-1], tables=[name])
    with pytest.raises(InvalidInput, match="one at a time"):
        plan_and_execute(DROP_ORPHAN, typed=name, tables=unmerged_tables[:2])
    before = read_rows(module_clients, name)
    dropped = plan_and_execute(DROP_ORPHAN, "wrong lines", name, tables=[name])
    assert "25 unmerged rows" in dropped.title
    assert plan_and_execute(UNDO_DROP, action_id=dropped.action_id).state is ActionState.DONE
    assert read_rows(module_clients, name) == before


def test_a_viewer_sees_the_plan_and_cannot_drop(module_clients, merged_tables, recorded_actions):
    plan = DROP_MERGED.plan(module_clients, {"tables": merged_tables[2:3]})
    with pytest.raises(InsufficientRole):
        execute(module_clients, VIEWER, DROP_MERGED, plan)
    assert merged_tables[2] in list_staging_tables(module_clients, "batch_2025_12_23")
    assert [action.state for action in recorded_actions()] == [ActionState.DENIED]
