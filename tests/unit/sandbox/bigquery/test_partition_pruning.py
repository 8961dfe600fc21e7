"""Which date partitions a statement reads, for the meter."""

from __future__ import annotations

from datetime import date

import pytest
from google.cloud.bigquery import SchemaField

from services.pipeline.merge import MergeTables, merge_sql
from services.sandbox.bigquery.partition_pruning import TableReference, processed_fraction, scanned_fraction
from services.sandbox.bigquery.sql_inspection import inspect_sql

ROWS_BY_DAY = {"2025-12-28": 30, "2025-12-29": 50, "2025-12-30": 20}


NIGHT = "SELECT a FROM d.t WHERE game_date = @night AND a > 1"


SHARE_BY_SQL = {
    NIGHT: 0.5,
    "SELECT a FROM d.t WHERE game_date BETWEEN DATE '2025-12-28' AND @night": 0.8,
    "SELECT a FROM d.t WHERE @night <= game_date": 0.7,
    "SELECT a FROM d.t WHERE game_date = @night OR a > 1": 1.0,
    "SELECT a FROM d.t WHERE game_date = (SELECT MAX(game_date) FROM d.s)": 1.0,
    f"WITH x AS ({NIGHT}), y AS (SELECT a FROM d.t WHERE game_date = DATE '2025-12-30') SELECT a FROM x JOIN y USING (a)": 0.7,
    f"WITH x AS ({NIGHT}), y AS (SELECT a FROM d.t) SELECT a FROM x JOIN y USING (a)": 1.0,
    "SELECT 1 FROM d.s AS s JOIN d.t AS t USING (a) WHERE s.game_date = @night": 1.0,  # of the other table
    "SELECT 1 FROM d.s AS s JOIN d.t AS t USING (a) WHERE t.game_date = @night": 0.5,
    "UPDATE d.t SET a = 1 WHERE game_date = @night": 0.5,
    "UPDATE d.t SET a = s.a FROM d.s AS s WHERE t.b = s.b AND s.game_date = @night": 1.0,
    "DELETE FROM d.t WHERE a = 1": 1.0,
}


@pytest.mark.parametrize(("sql", "part"), SHARE_BY_SQL.items())
def test_only_partitions_that_match_no_row_are_pruned_from_the_bill(sql, part):
    assert _share_scanned(sql) == pytest.approx(part)


MATCHED_NIGHT = "WHEN MATCHED AND T.game_date = @night THEN UPDATE SET a = 1"
MATCHED_NEXT = "WHEN MATCHED AND T.game_date = DATE '2025-12-30' THEN DELETE"
MATCHED_ANY = "WHEN MATCHED THEN UPDATE SET a = 1"
INSERTED = "WHEN NOT MATCHED AND S.game_date = @night THEN INSERT ROW"
NIGHT_OF_SOURCE = "WHEN NOT MATCHED BY SOURCE AND T.game_date = @night THEN DELETE"
ANY_OF_SOURCE = "WHEN NOT MATCHED BY SOURCE THEN DELETE"
MERGE_SHARES = [
    ("T.a = S.a", [MATCHED_NIGHT], 0.5),
    ("T.a = S.a", [MATCHED_NIGHT, MATCHED_NEXT], 0.7),
    ("T.a = S.a", [MATCHED_NIGHT, MATCHED_ANY], 1.0),
    ("T.a = S.a AND T.game_date = @night", [MATCHED_ANY], 1.0),  # ON alone may not be pushed down
    ("T.a = S.a AND T.game_date = @night", [MATCHED_NIGHT, INSERTED], 0.5),
    ("T.a = S.a AND T.game_date >= @night", [MATCHED_NIGHT, INSERTED], 0.7),  # the next day's row would be matched
    ("T.a = S.a", [MATCHED_NIGHT, INSERTED], 1.0),
    ("T.a = S.a AND T.a = '1'", [MATCHED_NIGHT, INSERTED], 1.0),
    ("T.a = S.a AND S.game_date = @night", [MATCHED_NIGHT, INSERTED], 1.0),
    ("T.a = S.a AND T.game_date = S.game_date", [MATCHED_NIGHT, INSERTED], 1.0),
    ("T.a = S.a AND T.game_date = @night", [INSERTED], 1.0),
    ("T.a = S.a AND T.game_date = @night", [MATCHED_NIGHT, MATCHED_ANY, INSERTED], 1.0),
    ("T.a = S.a", [MATCHED_NIGHT, NIGHT_OF_SOURCE], 0.5),
    ("T.a = S.a", [MATCHED_NIGHT, ANY_OF_SOURCE], 1.0),
    ("T.a = S.a AND T.game_date = @night", [MATCHED_NIGHT, INSERTED, NIGHT_OF_SOURCE], 1.0),  # a full outer join
    ("FALSE", [INSERTED, NIGHT_OF_SOURCE], 0.5),
    ("FALSE", [INSERTED, ANY_OF_SOURCE], 1.0),
]


@pytest.mark.parametrize(("condition", "clauses", "share"), MERGE_SHARES)
def test_a_merge_scans_its_target_as_documented(condition, clauses, share):
    sql = f"MERGE d.t AS T USING d.s AS S ON {condition} {' '.join(clauses)}"
    assert _share_scanned(sql) == pytest.approx(share)


def test_the_merge_of_a_batch_scans_one_day_of_its_target():
    schema = [SchemaField(name, "STRING") for name in ("game_date", "prediction_id", "is_active")]
    sql = merge_sql(MergeTables(schema, "d.compact", "d.t", date(2025, 12, 29)))
    assert _share_scanned(sql) == pytest.approx(0.5)
    assert len([reference for reference in _references(sql) if reference.changed]) == 1


# sql, days read × a quarter of the columns + days changed × all columns
PROCESSED = {
    NIGHT: 0.125,
    "SELECT a FROM d.t": 0.25,
    "DELETE FROM d.t WHERE game_date = @night": 0.125 + 0.5,
    "DELETE FROM d.t WHERE a = 1": 0.25 + 1,
    f"MERGE d.t AS T USING ({NIGHT}) AS S ON T.a = S.a {MATCHED_NIGHT}": 0.125 + 0.5,
    f"MERGE d.t AS T USING (SELECT a FROM d.t) AS S ON T.a = S.a {MATCHED_NIGHT}": 0.25 + 0.5,
    f"MERGE d.t AS T USING d.s AS S ON T.a = S.a {MATCHED_ANY}": 0.25 + 1,
    f"MERGE d.t AS T USING d.s AS S ON T.a = S.a {INSERTED}": 0.25,
}


@pytest.mark.parametrize(("sql", "share"), PROCESSED.items())
def test_a_statement_that_changes_rows_processes_their_partitions_once_more(sql, share):
    processed = processed_fraction(_references(sql), "game_date", ROWS_BY_DAY, {"night": "2025-12-29"}, 0.25)
    assert processed == pytest.approx(share)


def test_a_table_without_rows_or_partitions_is_processed_whole():
    assert processed_fraction((), "", {}, {}) == 1.0
    assert processed_fraction(_references("DELETE FROM d.t WHERE a = 1"), "", {}, {}, 0.5) == 1.5


CHANGED = {
    "DELETE FROM d.t WHERE a = 1": True,
    "UPDATE d.t SET a = 1 WHERE TRUE": True,
    "INSERT INTO d.t SELECT * FROM d.s": False,
    "SELECT a FROM d.t": False,
    f"MERGE d.t AS T USING d.s AS S ON FALSE {INSERTED}": False,
    f"MERGE d.t AS T USING d.s AS S ON FALSE {INSERTED} {ANY_OF_SOURCE}": True,
    f"MERGE d.t AS T USING d.s AS S ON T.a = S.a {MATCHED_ANY}": True,
    f"MERGE d.s AS T USING d.t AS S ON T.a = S.a {MATCHED_ANY}": False,
}


@pytest.mark.parametrize(("sql", "changed"), CHANGED.items())
def test_only_a_target_whose_rows_change_is_billed_once_more(sql, changed):
    assert any(reference.changed for reference in _references(sql)) == changed


def _share_scanned(sql: str) -> float:
    return scanned_fraction(_references(sql), "game_date", ROWS_BY_DAY, {"night": "2025-12-29"})


def _references(sql: str) -> list[TableReference]:
    return [reference for reference in inspect_sql(sql).table_references if reference.table == "d.t"]
