"""Staging repair: nothing is dropped without proof, what is dropped comes back row by row, a leftover batch is merged once."""

from datetime import timedelta

import pytest

from services.actions.executor import Refused, run_action
from services.actions.log_reader import State
from services.auth.roles import Denied
from services.core.errors import BadInput
from services.gcp import query_catalog as catalog
from services.staging.consolidate import CONSOLIDATE
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.merge_proof import read_proofs
from services.staging.restore_dropped import UNDO_DROP, undo_left
from tests.actions.conftest import OPERATOR, VIEWER

DATASET = "nba_predictions"
LEFTOVER = "batch_2025-12-25_1766680200"


def tables(desk, of: str) -> list[str]:
    return sorted(t.table_id for t in desk.bigquery.list_tables(DATASET) if t.table_id.startswith(f"_staging_{of}"))


@pytest.fixture
def merged(desk):
    found = tables(desk, "batch_2025_12_23")
    assert len(found) == 6
    return found


@pytest.fixture
def waiting(desk):
    found = tables(desk, "batch_2025_12_25")
    assert found
    return found


def rows(desk, name) -> list[tuple]:
    return sorted(str(tuple(row.values())) for row in desk.bigquery.query(f"SELECT * FROM {DATASET}.{name}").result())


def sql(desk, statement: str) -> None:
    desk.bigquery.query(statement).result()


def test_the_proof_counts_rows_that_are_absent_and_rows_that_differ(desk, merged, waiting):
    proofs = {proof.table: proof for proof in read_proofs(desk, [merged[0], waiting[0]]).proofs}
    assert (proofs[merged[0]].rows, proofs[merged[0]].unmerged) == (25, 0)
    assert (proofs[waiting[0]].absent, proofs[waiting[0]].differing) == (25, 0)


def test_merged_tables_are_dropped_and_come_back_identical(desk, do, merged):
    before = {name: rows(desk, name) for name in merged}
    dropped = do(DROP_MERGED, tables=merged)
    assert dropped.state is State.DONE
    assert dropped.title == "Drop 6 staging tables (0 unmerged rows)"
    assert tables(desk, "batch_2025_12_23") == []
    back = do(UNDO_DROP, action_id=dropped.action_id)
    assert back.state is State.DONE, back.sentence
    assert {name: rows(desk, name) for name in merged} == before


def test_one_unmerged_row_keeps_the_table(desk, do, merged, told):
    sql(
        desk,
        f"INSERT INTO {DATASET}.{merged[0]} SELECT * REPLACE('nobody' AS player_lookup) FROM {DATASET}.{merged[0]} LIMIT 1",
    )
    with pytest.raises(Refused, match="1 of 26 rows are not in the predictions table"):
        do(DROP_MERGED, tables=merged[:1])
    assert merged[0] in tables(desk, "batch_2025_12_23")
    assert [action.state for action in told()] == [State.REFUSED]
    sql(desk, f"DELETE FROM {DATASET}.{merged[0]} WHERE player_lookup = 'nobody'")


def test_one_row_with_another_value_keeps_the_table(desk, do, merged):
    table = f"{DATASET}.{merged[1]}"
    one = f"system_id = 'ensemble_v1' AND current_points_line = (SELECT MIN(current_points_line) FROM {table})"
    sql(desk, f"UPDATE {table} SET predicted_points = predicted_points + 0.5 WHERE {one}")
    with pytest.raises(Refused, match="0 of 25 rows are not in the predictions table, 1 differ"):
        do(DROP_MERGED, tables=merged[1:2])
    assert merged[1] in tables(desk, "batch_2025_12_23")
    sql(desk, f"UPDATE {table} SET predicted_points = predicted_points - 0.5 WHERE {one}")


def test_a_proof_that_could_not_be_made_keeps_the_table_and_the_others_are_still_proven(desk, do, merged):
    sql(desk, f"CREATE TABLE {DATASET}._staging_batch_2025_12_23_1766507400_worker_odd AS SELECT 1 AS something")
    odd = "_staging_batch_2025_12_23_1766507400_worker_odd"
    proofs = {proof.table: proof for proof in read_proofs(desk, [odd, merged[0]]).proofs}
    assert proofs[odd].unmerged is None
    assert proofs[merged[0]].unmerged == 0
    with pytest.raises(Refused, match="not proven"):
        do(DROP_MERGED, tables=[odd, merged[0]])
    assert {odd, merged[0]} <= set(tables(desk, "batch_2025_12_23"))
    assert do(DROP_ORPHAN, "a test left it", odd, tables=[odd]).state is State.DONE


def test_one_staged_row_changed_between_plan_and_apply_is_refused_with_the_difference(desk, merged, told):
    plan = DROP_MERGED.plan(desk, {"tables": merged[:1]})
    sql(desk, f"UPDATE {DATASET}.{merged[0]} SET prediction_id = 'another' WHERE system_id = 'ensemble_v1'")
    with pytest.raises(Refused, match=r"content was -?\d+, is -?\d+"):
        run_action(desk, OPERATOR, DROP_MERGED, plan)
    assert merged[0] in tables(desk, "batch_2025_12_23")
    assert [action.state for action in told()] == [State.REFUSED]


def test_a_table_that_vanished_since_the_plan_is_told_and_not_called_dropped(desk, do, merged):
    plan = DROP_MERGED.plan(desk, {"tables": merged[:2]})
    gone = do(DROP_MERGED, tables=merged[:1])
    with pytest.raises(Refused, match="there was True, is False"):
        run_action(desk, OPERATOR, DROP_MERGED, plan)
    do(UNDO_DROP, action_id=gone.action_id)


@pytest.mark.parametrize("chosen", [None, [], (), ""])
def test_an_empty_selection_is_an_error_and_never_everything(desk, chosen):
    with pytest.raises(BadInput, match="No staging table was chosen"):
        DROP_MERGED.plan(desk, {"tables": chosen})


@pytest.mark.parametrize(
    "name", ["player_prop_predictions", "_staging_x; DROP TABLE y", "_staging_*", "nba_raw._staging_x"]
)
def test_what_is_not_a_staging_table_is_never_planned(desk, name):
    with pytest.raises(BadInput, match="is not a staging table"):
        DROP_MERGED.plan(desk, {"tables": [name]})


def test_an_orphan_is_dropped_only_by_its_name_typed_with_a_reason(desk, do, waiting):
    name = waiting[0]
    with pytest.raises(Refused, match="a reason is needed"):
        do(DROP_ORPHAN, reason=" ", typed=name, tables=[name])
    with pytest.raises(Refused, match="has to be typed"):
        do(DROP_ORPHAN, typed=name[:-1], tables=[name])
    with pytest.raises(BadInput, match="one at a time"):
        do(DROP_ORPHAN, typed=name, tables=waiting[:2])
    before = rows(desk, name)
    dropped = do(DROP_ORPHAN, "wrong lines", name, tables=[name])
    assert "25 unmerged rows" in dropped.title
    assert do(UNDO_DROP, action_id=dropped.action_id).state is State.DONE
    assert rows(desk, name) == before


def test_after_the_week_a_drop_cannot_be_taken_back_and_the_plan_says_why(desk):
    week_ago = desk.now() - timedelta(days=7, seconds=1)
    assert undo_left(desk, int(week_ago.timestamp() * 1000)) < timedelta(0)
    assert undo_left(desk, int(desk.now().timestamp() * 1000)) > timedelta(days=6, hours=23)


def test_nothing_was_dropped_by_an_action_that_does_not_exist(desk):
    with pytest.raises(BadInput, match="dropped nothing"):
        UNDO_DROP.plan(desk, {"action_id": "no such action"})


def test_a_viewer_may_see_the_plan_and_may_not_drop(desk, merged, told):
    plan = DROP_MERGED.plan(desk, {"tables": merged[2:3]})
    with pytest.raises(Denied):
        run_action(desk, VIEWER, DROP_MERGED, plan)
    assert merged[2] in tables(desk, "batch_2025_12_23")
    assert [action.state for action in told()] == [State.DENIED]


def test_the_dates_of_tables_whose_name_tells_none_are_read_from_their_rows(desk, merged):
    sql(desk, f"CREATE TABLE {DATASET}._staging_fallback_1 AS SELECT * FROM {DATASET}.{merged[3]}")
    assert read_proofs(desk, ["_staging_fallback_1"]).proofs[0].merged
    dates = catalog.run(
        desk, "actions.staged_dates", tables={"staging": f"{DATASET}._staging_fallback_*"}, suffixes=["1"]
    ).rows[0]
    assert str(dates["first_date"]) == str(dates["last_date"]) == "2025-12-23"
    sql(desk, f"DROP TABLE {DATASET}._staging_fallback_1")


def test_a_leftover_batch_is_consolidated_and_the_coverage_of_its_night_is_recorded(desk, do, waiting):
    plan = CONSOLIDATE.plan(desk, {"batch_id": LEFTOVER})
    assert plan.title == f"Consolidate {LEFTOVER}: 225 rows of 9 staging tables"
    assert plan.changes[0].after == "225 whose key is not in the predictions table"
    action = run_action(desk, OPERATOR, CONSOLIDATE, plan)
    assert action.state is State.DONE, action.sentence
    assert (action.facts["inserted"], action.facts["updated"]) == (225, 0)
    assert (action.coverage_before.active, action.coverage_after.active, action.coverage_after.eligible) == (63, 72, 72)
    assert tables(desk, "batch_2025_12_25") == []
    with pytest.raises(BadInput, match="no staging table"):
        CONSOLIDATE.plan(desk, {"batch_id": LEFTOVER})


@pytest.mark.parametrize("batch", ["", "batch_yesterday_1", "_staging_batch_2025_12_25_1766680200"])
def test_what_is_no_batch_is_told_in_a_sentence(desk, batch):
    with pytest.raises(BadInput, match="is not a batch"):
        CONSOLIDATE.plan(desk, {"batch_id": batch})
