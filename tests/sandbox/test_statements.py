"""What the gateway reads from a statement: kind, target, tables named."""

from __future__ import annotations

import pytest

from services.sandbox.statements import read

STAGED = "SELECT game_date, player_lookup FROM `nba-props-platform.nba_predictions._staging_b_{}`"


def merge_over(tables: int) -> str:
    source = " UNION ALL ".join(STAGED.format(n) for n in range(tables))
    return (
        f"MERGE `nba-props-platform.nba_predictions.player_prop_predictions` T USING ({source}) S"
        " ON T.player_lookup = S.player_lookup WHEN NOT MATCHED THEN INSERT (game_date) VALUES (S.game_date)"
    )


@pytest.mark.parametrize("tables", [1, 158, 999, 1_000])
def test_a_merge_over_many_tables_keeps_its_kind_its_target_and_every_table(tables):
    statement = read(merge_over(tables))
    assert (statement.kind, statement.target) == ("MERGE", "nba_predictions.player_prop_predictions")
    assert len(statement.tables) == tables + 1


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "SELECT"),
        ("-- why\nWITH a AS (SELECT 1 AS x) SELECT x FROM a", "SELECT"),
        ("INSERT INTO d.t (a) SELECT a FROM d.s", "INSERT"),
        ("UPDATE d.t SET a = 1 WHERE TRUE", "UPDATE"),
        ("DELETE FROM d.t WHERE TRUE", "DELETE"),
        ("CREATE TABLE d.t (a INT64)", "CREATE"),
        ("DROP TABLE d.t", "DROP"),
        ("TRUNCATE TABLE d.t", "TRUNCATE"),
        ("ALTER TABLE d.t ADD COLUMN b INT64", "ALTER"),
    ],
)
def test_kinds_are_told_apart(sql, kind):
    statement = read(sql)
    assert statement.kind == kind
    assert statement.target == ("" if kind == "SELECT" else "d.t")


def test_a_name_of_a_common_table_expression_is_no_table():
    sql = "WITH p AS (SELECT a FROM d.t) SELECT * FROM p JOIN d.u USING (a)"
    assert set(read(sql).tables) == {"d.t", "d.u"}


def test_only_what_a_statement_reads_is_billed():
    assert read("INSERT INTO d.t (a) SELECT a FROM d.s").billed_tables == ("d.s",)
    assert read("CREATE TABLE d.t AS SELECT a FROM d.s").billed_tables == ("d.s",)
    assert read("DROP TABLE d.t").billed_tables == ()
    assert set(read("MERGE d.t T USING d.s S ON T.a = S.a WHEN MATCHED THEN UPDATE SET a = S.a").billed_tables) == {
        "d.t",
        "d.s",
    }


def test_a_window_partitioned_by_a_float_is_seen():
    sql = "SELECT ROW_NUMBER() OVER (PARTITION BY a, CAST(line AS FLOAT64)) FROM d.t"
    assert read(sql).float_partition
    assert read(sql).window_columns == ("a",)
