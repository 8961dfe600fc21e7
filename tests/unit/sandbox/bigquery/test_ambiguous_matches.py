"""The SELECT that finds several source rows for one target row."""

from __future__ import annotations

import duckdb
import pytest

from services.sandbox.bigquery.ambiguous_matches import find_ambiguous_match

MATCH = "WHEN MATCHED THEN UPDATE SET v = S.v"


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT * FROM (VALUES ('a', 1), ('b', 2)) AS t(k, v)")
    connection.execute("CREATE TABLE s AS SELECT * FROM (VALUES ('a', 3), ('a', 4), ('c', 5)) AS s(k, v)")
    return connection


@pytest.mark.parametrize(
    ("sql", "parameters", "ambiguous"),
    [
        (f'MERGE INTO "t" AS T USING s AS S ON T.k = S.k {MATCH}', [], True),
        (f"MERGE INTO t USING (SELECT k, MAX(v) AS v FROM s GROUP BY k) AS S ON t.k = S.k {MATCH}", [], False),
        (f"MERGE INTO t AS T USING (SELECT * FROM s WHERE v > ?) AS S ON T.k = S.k AND ? {MATCH}", [3, True], False),
        ("MERGE INTO t AS T USING s AS S ON T.k = S.k WHEN MATCHED AND S.v > ? THEN UPDATE SET v = ?", [3, 9], False),
        ("MERGE INTO t AS T USING s AS S ON T.k = S.k WHEN MATCHED AND S.v > 2 THEN DELETE", [], True),
        ("MERGE INTO t AS T USING s AS S ON T.k = CASE WHEN TRUE THEN S.k END WHEN MATCHED THEN DELETE", [], True),
        ("UPDATE t AS T SET v = ? FROM s AS S WHERE T.k = S.k AND S.v > ?", [0, 2], True),
        ("UPDATE t AS T SET v = ? FROM s AS S WHERE T.k = S.k AND S.v > ?", [0, 3], False),
    ],
)
def test_two_source_rows_for_one_target_row_are_found(connection, sql, parameters, ambiguous):
    check = find_ambiguous_match(sql, parameters)
    assert check is not None
    assert (connection.execute(*check).fetchone() is not None) is ambiguous


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "UPDATE t SET v = 1 WHERE k = 'a'",
        "MERGE INTO t AS T USING s AS S ON T.k = S.k WHEN NOT MATCHED THEN INSERT (k) VALUES (S.k)",
        "MERGE INTO t AS T USING s AS S ON FALSE WHEN NOT MATCHED BY SOURCE THEN DELETE",
    ],
)
def test_a_statement_that_matches_no_rows_is_not_looked_at(sql):
    assert find_ambiguous_match(sql, []) is None
