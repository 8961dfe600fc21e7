"""Which row stands after a MERGE: the newest of its key, whatever is consolidated when; what was superseded stays so."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from google.cloud.bigquery import SchemaField

from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.merge import CONTEXT_TABLE, MergeTables, count_sql, merge_sql
from services.sandbox.bigquery.sql_analysis import SqlAnalyzer, build_catalog, build_options, find_tables
from tests.support.memory_rows import NIGHT, context_row
from tests.unit.pipeline.conftest import BATCH, made, row

OLD_BATCH = "batch_2025-12-29_1766990000000"
INACTIVE = {"is_active": False, "superseded": True}
NO_LINE = {"current_points_line": None}
HIGHER = {"current_points_line": Decimal("21.0")}


def sums(result):
    return {
        name: getattr(result, name)
        for name in ("inserted", "updated", "unchanged", "outdated", "deactivated", "collapsed_rows")
        if getattr(result, name)
    }


def merged_at(night):
    """When the first MERGE of a test is made: time passes only while something waits."""
    return night.started


def test_a_new_key_is_added_and_a_repeat_of_the_batch_changes_nothing(night):
    assert sums(night.merge(row("ann", 5))) == {"inserted": 1}
    before = night.project.rows(PREDICTIONS_TABLE)
    assert sums(night.merge(row("ann", 5))) == {"unchanged": 1}
    assert night.project.rows(PREDICTIONS_TABLE) == before


def test_the_newest_of_a_key_in_the_batch_goes_in(night):
    result = night.merge(row("ann", 5), row("ann", 7, predicted_points=Decimal(9)), row("ann", 6))
    assert sums(result) == {"inserted": 1, "collapsed_rows": 2}
    assert night.predictions("prediction_id", "predicted_points") == [("ann-7", Decimal(9))]


def test_of_rows_made_at_one_moment_the_greater_id_wins_in_the_batch_and_in_the_table(night):
    night.insert(row("ann", 5, prediction_id="m"))
    assert sums(night.merge(row("ann", 5, prediction_id="a"), row("ann", 5, prediction_id="b")))["outdated"] == 1
    assert night.predictions() == [("m", True)]
    night.merge(row("ann", 5, prediction_id="z"), row("ann", 5, prediction_id="y"))
    assert night.predictions() == [("z", True)]


def test_a_newer_row_takes_the_place_with_its_id_its_time_and_its_values(night):
    night.insert(row("ann", 0))
    result = night.merge(row("ann", 5, predicted_points=Decimal(9)))
    assert sums(result) == {"updated": 1}
    (stored,) = night.project.rows(PREDICTIONS_TABLE)
    assert (stored["prediction_id"], stored["created_at"]) == ("ann-5", made(5))
    assert (stored["predicted_points"], stored["updated_at"]) == (Decimal(9), merged_at(night))


def test_an_older_batch_consolidated_later_changes_nothing(night):
    night.insert(row("ann", 5, predicted_points=Decimal(9)))
    before = night.project.rows(PREDICTIONS_TABLE)
    assert sums(night.merge(row("ann", 0), batch=OLD_BATCH)) == {"unchanged": 1, "outdated": 1}
    assert night.project.rows(PREDICTIONS_TABLE) == before
    assert night.tables() == [], "it is proven that a newer row stands"


def test_a_newer_row_with_the_same_values_counts_as_unchanged_and_dates_what_stands(night):
    night.insert(row("ann", 0))
    assert sums(night.merge(row("ann", 9))) == {"unchanged": 1}
    between = row("ann", 5, predicted_points=Decimal(9))
    assert sums(night.merge(between, batch=OLD_BATCH)) == {"unchanged": 1, "outdated": 1}
    assert night.predictions("predicted_points") == [(Decimal(20),)]


def test_superseded_rows_with_the_same_keys_are_neither_touched_nor_revived(night):
    superseded = [row("ann", n, predicted_points=Decimal(n), **INACTIVE) for n in (0, 1)]
    night.insert(*superseded, row("ann", 2))
    assert sums(night.merge(row("ann", 5, predicted_points=Decimal(9)))) == {"updated": 1}
    assert night.predictions() == [("ann-0", False), ("ann-1", False), ("ann-5", True)]
    assert [r for r in night.project.rows(PREDICTIONS_TABLE) if not r["is_active"]] == [
        {**dict.fromkeys(night.project.rows(PREDICTIONS_TABLE)[0]), **r} for r in superseded
    ]


def test_a_superseded_copy_of_the_row_that_stands_stays_superseded_when_that_is_replaced(night):
    night.insert(row("ann", 2, **INACTIVE), row("ann", 2), row("bob", 2, **INACTIVE), row("bob", 2))
    assert sums(night.merge(row("ann", 5), row("bob", 5, **HIGHER))) == {
        "inserted": 1,
        "unchanged": 1,
        "deactivated": 1,
    }
    assert night.predictions() == [
        ("ann-2", False),
        ("ann-5", True),
        ("bob-2", False),
        ("bob-2", False),
        ("bob-5", True),
    ]
    (untouched,) = (
        r
        for r in night.project.rows(PREDICTIONS_TABLE)
        if r["superseded"] and not r["superseded_at"] and r["player_lookup"] == "bob"
    )
    assert untouched["updated_at"] is None


def test_a_key_that_has_only_superseded_rows_gets_a_new_one(night):
    night.insert(row("ann", 0, **INACTIVE))
    assert sums(night.merge(row("ann", 5))) == {"inserted": 1}
    assert night.predictions() == [("ann-0", False), ("ann-5", True)]


def test_the_very_row_that_was_superseded_does_not_come_back_when_its_batch_is_consolidated_again(night):
    night.insert(row("ann", 5, **INACTIVE))
    assert sums(night.merge(row("ann", 5))) == {"unchanged": 1, "outdated": 1}
    assert night.predictions() == [("ann-5", False)]


def test_a_row_that_is_staged_as_inactive_goes_in_once(night):
    for expected in ({"inserted": 1}, {"unchanged": 1}):
        assert sums(night.merge(row("ann", 5, **INACTIVE))) == expected
    assert night.predictions() == [("ann-5", False)]


@pytest.mark.parametrize("newest", [1, 5])
def test_of_several_active_rows_the_newest_is_left(night, newest):
    night.insert(row("ann", 0), row("ann", 1), row("ann", 2, prediction_id="ann-x"))
    result = night.merge(row("ann", newest, predicted_points=Decimal(9)))
    stands = "ann-5" if newest == 5 else "ann-x"
    assert result.deactivated == 2
    assert [p for p, active in night.predictions() if active] == [stands]
    reasons = {r["prediction_id"]: r["superseded_reason"] for r in night.project.rows(PREDICTIONS_TABLE)}
    assert reasons == {stands: None, "ann-0": "a newer row has the same key", "ann-1": "a newer row has the same key"}


@pytest.mark.parametrize(
    ("staged_minute", "stands", "points"),
    [(0, "ann-2", Decimal(20)), (2, "ann-2", Decimal(20)), (5, "ann-5", Decimal(9))],
)
def test_exact_copies_of_a_row_leave_one_active_row(night, staged_minute, stands, points):
    night.insert(row("ann", 2), row("ann", 2), row("ann", 2))
    staged = row("ann", staged_minute, **({"predicted_points": points} if staged_minute != 2 else {}))
    night.merge(staged)
    rows = night.project.rows(PREDICTIONS_TABLE)
    assert [(r["prediction_id"], r["predicted_points"]) for r in rows if r["is_active"]] == [(stands, points)]
    assert len(rows) == 4
    before = night.predictions()
    night.merge(staged)
    assert night.predictions() == before


def test_duplicates_of_players_whom_the_batch_does_not_have_are_cleared_as_well(night):
    night.insert(row("bob", 0), row("bob", 1))
    night.merge(row("ann", 5))
    assert night.predictions() == [("ann-5", True), ("bob-0", False), ("bob-1", True)]


def test_lines_that_a_newer_run_of_player_and_system_lacks_are_retired(night):
    other = {"system_id": "moving_average"}
    night.insert(row("ann", 0), row("ann", 0, prediction_id="other", **other), row("bob", 0))
    result = night.merge(row("ann", 5, **HIGHER))
    assert sums(result) == {"inserted": 1, "deactivated": 1}
    assert night.predictions() == [("ann-0", False), ("ann-5", True), ("bob-0", True), ("other", True)]
    (retired,) = (r for r in night.project.rows(PREDICTIONS_TABLE) if not r["is_active"])
    assert (retired["superseded"], retired["superseded_at"]) == (True, merged_at(night))
    assert (retired["superseded_reason"], retired["updated_at"]) == ("a newer run has no such line", merged_at(night))


def test_a_line_of_an_older_run_that_the_newer_lacks_goes_in_as_superseded_and_retires_nothing(night):
    night.insert(row("ann", 5, **HIGHER))
    assert sums(night.merge(row("ann", 0), batch=OLD_BATCH)) == {"inserted": 1, "outdated": 1}
    assert night.predictions() == [("ann-0", False), ("ann-5", True)]
    (superseded,) = (r for r in night.project.rows(PREDICTIONS_TABLE) if not r["is_active"])
    assert (superseded["superseded"], superseded["superseded_at"]) == (True, merged_at(night))
    assert superseded["superseded_reason"] == "a newer run has no such line"
    assert sums(night.merge(row("ann", 0), batch=OLD_BATCH)) == {"unchanged": 1, "outdated": 1}
    assert len(night.predictions()) == 2


def test_half_points_and_a_missing_line_are_keys_of_their_own(night):
    lines = [Decimal("20.5"), Decimal("21.0"), None]
    staged = [row("ann", n, current_points_line=line) for n, line in enumerate(lines)]
    assert sums(night.merge(*staged)) == {"inserted": 3}
    assert sums(night.merge(*staged)) == {"unchanged": 3}


@pytest.mark.parametrize(
    "part", [{"game_id": "20251229_BOS_MIA"}, {"player_lookup": "cid"}, {"system_id": "other"}, HIGHER, NO_LINE]
)
def test_rows_that_differ_in_one_part_of_the_key_are_different_rows(night, part):
    night.project.insert(CONTEXT_TABLE, [context_row("ann", game_id="20251229_BOS_MIA")])
    assert sums(night.merge(row("ann", 5), row("ann", 5, prediction_id="b", **part))) == {"inserted": 2}
    assert sums(night.merge(row("ann", 5), row("ann", 5, prediction_id="b", **part))) == {"unchanged": 2}


def test_a_line_that_the_table_has_as_a_float_is_compared_as_a_decimal(night):
    fields = [f for f in night.project.tables[PREDICTIONS_TABLE].fields if f.name != "current_points_line"]
    night.project.create_table(PREDICTIONS_TABLE, (*fields, SchemaField("current_points_line", "FLOAT64")))
    night.insert(row("ann", 0, current_points_line=0.1 + 0.2), row("bob", 0, current_points_line=-0.0))
    staged = row("ann", 5, current_points_line=0.3), row("bob", 5, current_points_line=0.0)
    assert sums(night.merge(*staged)) == {"unchanged": 2}
    assert night.predictions() == [("ann-5", True), ("bob-5", True)]


# --- the player's game -----------------------------------------------------------------------------------------------

MOVED = {"game_id": "20251229_BOS_MIA"}


def test_rows_under_a_game_that_the_player_is_no_longer_in_are_superseded(night):
    night.insert(row("ann", 0, **MOVED), row("ann", 0, prediction_id="b", system_id="other", **MOVED))
    result = night.merge(row("ann", 5))
    assert sums(result) == {"inserted": 1, "deactivated": 2}
    assert night.predictions() == [("ann-0", False), ("ann-5", True), ("b", False)]
    reasons = {r["superseded_reason"] for r in night.project.rows(PREDICTIONS_TABLE) if not r["is_active"]}
    assert reasons == {"the player is in another game"}


def test_rows_of_a_game_that_the_context_still_has_for_the_player_stay(night):
    night.project.insert(CONTEXT_TABLE, [context_row("ann", **MOVED)])
    night.insert(row("ann", 0, **MOVED))
    assert sums(night.merge(row("ann", 5))) == {"inserted": 1}
    assert night.predictions() == [("ann-0", True), ("ann-5", True)]


def test_a_row_under_the_former_game_goes_in_as_superseded_when_it_comes_after_the_newer_one(night):
    night.insert(row("ann", 5))
    assert sums(night.merge(row("ann", 0, **MOVED), batch=OLD_BATCH)) == {"inserted": 1, "outdated": 1}
    assert night.predictions("prediction_id", "is_active", "superseded_reason") == [
        ("ann-0", False, "the player is in another game"),
        ("ann-5", True, None),
    ]


def test_rows_of_a_player_without_any_context_stay(night):
    night.insert(row("cid", 0, **MOVED))
    assert sums(night.merge(row("cid", 5))) == {"inserted": 1}
    assert night.predictions() == [("cid-0", True), ("cid-5", True)]


def test_a_newer_row_under_the_former_game_is_not_superseded_by_an_older_one(night):
    night.insert(row("ann", 9, **MOVED))
    assert sums(night.merge(row("ann", 5))) == {"inserted": 1}
    assert night.predictions() == [("ann-5", True), ("ann-9", True)]


def test_a_former_game_of_a_player_whom_the_batch_does_not_have_is_left(night):
    night.insert(row("bob", 0, **MOVED), row("bob", 5))
    night.merge(row("ann", 5))
    assert night.predictions() == [("ann-5", True), ("bob-0", True), ("bob-5", True)]


# --- columns ---------------------------------------------------------------------------------------------------------

NESTED = (
    SchemaField("tags", "STRING", "REPEATED"),
    SchemaField("features", "JSON"),
    SchemaField("pair", "RECORD", fields=[SchemaField("a", "INTEGER"), SchemaField("b", "FLOAT", "REPEATED")]),
    SchemaField("parts", "RECORD", "REPEATED", fields=[SchemaField("a", "STRING")]),
)
NESTED_VALUES = {
    "tags": ["x", "y"],
    "features": {"a": [1, {"b": None}]},
    "pair": {"a": 1, "b": [0.5]},
    "parts": [{"a": "x"}, {"a": None}],
}


@pytest.fixture
def nested_night(night):
    fields = night.project.tables[PREDICTIONS_TABLE].fields
    night.project.create_table(PREDICTIONS_TABLE, (*fields, *NESTED))
    return night


def test_nested_and_repeated_columns_and_json_are_compared_by_value_and_retired(nested_night):
    night = nested_night
    night.insert(row("ann", 0, **NESTED_VALUES), row("ann", 0, prediction_id="gone", **HIGHER, **NESTED_VALUES))
    result = night.merge(row("ann", 5, **NESTED_VALUES))
    assert sums(result) == {"unchanged": 1, "deactivated": 1}
    for n, (column, value) in enumerate(
        {"tags": ["y", "x"], "features": {"a": []}, "pair": {"a": 1, "b": []}, "parts": [{"a": "x"}]}.items()
    ):
        result = night.merge(row("ann", 6 + n, **{**NESTED_VALUES, column: value}))
        assert sums(result) == {"updated": 1}, column
        (stands,) = (r for r in night.project.rows(PREDICTIONS_TABLE) if r["is_active"])
        assert stands[column] == value
        night.merge(row("ann", 6 + n, prediction_id="ann-~", **NESTED_VALUES))
    assert [p for p, active in night.predictions() if not active] == ["gone"]


ALL_COLUMNS = (
    *(SchemaField(name, "STRING") for name in ("prediction_id", "game_id", "player_lookup", "system_id")),
    *(SchemaField(name, "BOOL") for name in ("is_active", "superseded")),
    *(SchemaField(name, "TIMESTAMP") for name in ("created_at", "updated_at", "superseded_at")),
    SchemaField("game_date", "DATE"),
    SchemaField("current_points_line", "FLOAT64"),
    SchemaField("superseded_reason", "STRING"),
    *NESTED,
    *(SchemaField(f"a_{t.lower()}", t) for t in ("BYTES", "GEOGRAPHY", "INTERVAL", "BIGNUMERIC", "TIME", "DATETIME")),
    SchemaField("places", "GEOGRAPHY", "REPEATED"),
    SchemaField(
        "trips",
        "RECORD",
        "REPEATED",
        fields=[SchemaField("stops", "RECORD", "REPEATED", fields=[SchemaField("at", "GEOGRAPHY")])],
    ),
)


def test_of_two_tables_with_a_player_s_rows_the_newer_one_replaces_the_other(night):
    """He was asked for in another unit while the first one was on its way, and his line had moved."""
    night.stage(row("ann", 5), row("bob", 5), unit="p_ann_and_bob")
    night.stage(row("ann", 7, prediction_id="newer", **HIGHER), unit="p_ann")
    result = night.consolidate()
    assert night.predictions("player_lookup", "current_points_line", "is_active") == [
        ("ann", Decimal("21"), True),
        ("bob", Decimal("20.5"), True),
    ]
    assert (result.staged_rows, result.distinct_keys, result.collapsed_rows) == (2, 2, 0), (
        "the replaced row counts nowhere"
    )


def test_rows_of_one_table_that_were_made_one_after_another_are_one_run(night):
    night.stage(row("ann", 5), row("ann", 7, prediction_id="newer", **HIGHER))
    assert (night.consolidate().inserted, sum(active for _, active in night.predictions())) == (2, 2)


def test_rows_of_a_table_that_is_not_older_as_a_whole_all_go_in(night):
    night.stage(row("ann", 5), row("ann", 9, prediction_id="c", **NO_LINE), unit="p_one")
    night.stage(row("ann", 7, prediction_id="b", **HIGHER), unit="p_two")
    assert night.consolidate().inserted == 3


@pytest.mark.parametrize("statement", [merge_sql, count_sql])
def test_the_statements_are_valid_googlesql_with_every_type_of_column(statement):
    sql = statement(MergeTables(ALL_COLUMNS, "d.source", "d.target", NIGHT))
    fields = [field.to_api_repr() for field in ALL_COLUMNS]
    context = [
        {"name": "game_date", "type": "DATE"},
        *({"name": n, "type": "STRING"} for n in ("player_lookup", "game_id")),
    ]
    catalog = build_catalog({path: context if path == (CONTEXT_TABLE,) else fields for path in find_tables(sql)[0]}, {})
    at = {"name": "at", "parameterType": {"type": "TIMESTAMP"}}
    older_runs = {"name": "older_runs", "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}}}
    assert SqlAnalyzer().analyze(sql, catalog, build_options([at, older_runs])).error == ""


def test_geographies_are_compared_by_their_text_at_any_depth():
    sql = merge_sql(MergeTables(ALL_COLUMNS, "d.source", "d.target", NIGHT))
    assert "ST_ASTEXT(`a_geography`) AS `a_geography`" in sql
    assert "ARRAY(SELECT ST_ASTEXT(element) FROM UNNEST(`places`) AS element) AS `places`" in sql
    assert "ST_ASTEXT(element.`at`) AS `at`" in sql


def test_one_partition_is_read_of_each_side_and_of_the_context():
    sql = merge_sql(MergeTables(ALL_COLUMNS, "d.source", "d.target", date(2025, 12, 29)))
    assert sql.count("game_date = DATE '2025-12-29'") == 7
    conditions = [line.partition(" THEN ")[0] for line in sql.splitlines() if line.startswith("WHEN ")]
    assert [" AND T.game_date = DATE " in c or " AND S.game_date = DATE " in c for c in conditions] == [True] * 3


def test_the_text_of_a_key_has_the_line_as_a_decimal_and_no_date_which_bigquery_would_not_take_for_text():
    sql = merge_sql(MergeTables(ALL_COLUMNS, "d.source", "d.target", NIGHT))
    assert "IFNULL(CAST(CAST(T.current_points_line AS NUMERIC) AS STRING), '') = S.our_row_key" in sql
    assert "game_date, '')" not in sql


def test_a_row_that_is_inserted_as_superseded_is_marked_in_every_column_that_says_so():
    sql = merge_sql(MergeTables(ALL_COLUMNS, "d.source", "d.target", NIGHT))
    inserted = sql[sql.index("WHEN NOT MATCHED") :]
    marks = {
        "is_active": "FALSE",
        "superseded": "TRUE",
        "superseded_at": "@at",
        "superseded_reason": "S.our_reason",
        "updated_at": "@at",
    }
    assert {
        column: f"IF(S.our_outcome = 'superseded', {mark}, S.`{column}`)" in inserted for column, mark in marks.items()
    } == dict.fromkeys(marks, True)
    assert inserted.count("IF(") == len(marks)


def test_a_column_may_have_any_name(night):
    names = ("place", "row_key", "outcome", "operation", "reason", "copies", "element", "context_game")
    night.project.create_table(PREDICTIONS_TABLE, [*night.fields, *(SchemaField(name, "STRING") for name in names)])
    night.insert(row("ann", 0), row("ann", 0, prediction_id="b", **HIGHER))
    assert sums(night.merge(row("ann", 5, place="x"))) == {"updated": 1, "deactivated": 1}
    assert night.predictions("prediction_id", "place") == [("ann-5", "x"), ("b", None)]


def test_a_table_without_the_columns_of_superseding_is_retired_by_is_active_alone(night):
    left_out = ("superseded", "superseded_at", "superseded_reason", "updated_at")
    fields = [f for f in night.project.tables[PREDICTIONS_TABLE].fields if f.name not in left_out]
    night.project.create_table(PREDICTIONS_TABLE, fields)
    plain = {k: v for k, v in row("ann", 0).items() if k not in left_out}
    night.insert(plain)
    night.merge({**plain, "prediction_id": "ann-5", "created_at": made(5), **HIGHER})
    assert night.predictions() == [("ann-0", False), ("ann-5", True)]


def test_a_run_that_only_differs_in_where_it_was_made_counts_as_unchanged(night):
    night.insert(row("ann", 0, deployment_revision="r-1", prediction_run_mode="EARLY"))
    result = night.merge(row("ann", 5, deployment_revision="r-2", prediction_run_mode="RETRY"), batch=BATCH)
    assert sums(result) == {"unchanged": 1}
    assert night.predictions("deployment_revision", "prediction_run_mode") == [("r-2", "RETRY")]
