"""A statement's kind, target, tables and columns."""

from __future__ import annotations

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.sandbox.bigquery.sql_inspection import inspect_sql

STAGED_SELECT = "SELECT game_date, player_lookup FROM `nba-props-platform.nba_predictions._staging_b_{}`"


def merge_over(tables: int) -> str:
    source = " UNION ALL ".join(STAGED_SELECT.format(n) for n in range(tables))
    return (
        f"MERGE `nba-props-platform.{PREDICTIONS_TABLE}` T USING ({source}) S"
        " ON T.player_lookup = S.player_lookup WHEN NOT MATCHED THEN INSERT (game_date) VALUES (S.game_date)"
    )


@pytest.mark.parametrize("tables", [1, 158, 999, 1_000])
def test_a_merge_over_many_tables_has_its_kind_target_and_all_tables(tables):
    statement = inspect_sql(merge_over(tables))
    assert (statement.kind, statement.target) == ("MERGE", PREDICTIONS_TABLE)
    assert len(statement.tables) == tables + 1


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "SELECT"),
        ("-- why\nWITH a AS (SELECT 1 AS x) SELECT x FROM a", "SELECT"),
        ("INSERT INTO d.t (a) SELECT a FROM d.s", "INSERT"),
        ("UPDATE d.t SET a = 1 WHERE TRUE", "UPDATE"),
        ("DELETE FROM d.t WHERE TRUE", "DELETE"),
        ("DELETE d.t WHERE TRUE", "DELETE"),
        ("CREATE TABLE d.t (a INT64)", "CREATE"),
        ("DROP TABLE d.t", "DROP"),
        ("TRUNCATE TABLE d.t", "TRUNCATE"),
        ("ALTER TABLE d.t ADD COLUMN b INT64", "ALTER"),
    ],
)
def test_statement_kinds_are_recognized(sql, kind):
    statement = inspect_sql(sql)
    assert statement.kind == kind
    assert statement.target == ("" if kind == "SELECT" else "d.t")


def test_a_common_table_expression_is_no_table():
    sql = "WITH p AS (SELECT a FROM d.t) SELECT * FROM p JOIN d.u USING (a)"
    assert set(inspect_sql(sql).tables) == {"d.t", "d.u"}


def test_only_what_a_statement_reads_is_billed():
    assert inspect_sql("INSERT INTO d.t (a) SELECT a FROM d.s").billed_tables == ("d.s",)
    assert inspect_sql("CREATE TABLE d.t AS SELECT a FROM d.s").billed_tables == ("d.s",)
    assert inspect_sql("DROP TABLE d.t").billed_tables == ()
    assert set(
        inspect_sql("MERGE d.t T USING d.s S ON T.a = S.a WHEN MATCHED THEN UPDATE SET a = S.a").billed_tables
    ) == {
        "d.t",
        "d.s",
    }


@pytest.mark.parametrize(
    ("sql", "columns"),
    [("SELECT a, COUNT(*) FROM d.t WHERE b > 1 GROUP BY a", {"a", "b"}), ("SELECT *, b FROM d.t", {"*"})],
)
def test_a_star_reads_every_column_and_a_count_reads_none(sql, columns):
    assert inspect_sql(sql).columns == columns
