"""How a statement is rewritten for the emulator."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.sandbox.bigquery.sql_analysis import Analysis
from services.sandbox.bigquery.sql_rewrites import is_script, rewrite, split_alter

NOW = datetime(2025, 12, 30, 6, 45, 1, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sql", "rewritten"),
    [
        ("SELECT CURRENT_TIMESTAMP()", "SELECT TIMESTAMP '2025-12-30 06:45:01.250000+00'"),
        ("SELECT CURRENT_DATE AS d", "SELECT DATE '2025-12-30' AS d"),
        ("SELECT CURRENT_DATE('Pacific/Midway')", "SELECT DATE '2025-12-29'"),
        ("SELECT CURRENT_DATETIME()", "SELECT DATETIME '2025-12-30 06:45:01.250000'"),
        ("SELECT CURRENT_TIME()", "SELECT TIME '06:45:01.250000'"),
        ("SELECT 'CURRENT_DATE()', t.current_date, x AS current_date FROM t", None),
        ("CREATE TABLE d.t (a TIMESTAMP DEFAULT CURRENT_TIMESTAMP())", None),
        ("SELECT 1 FROM my-project.d.t, my-project.d.u", "SELECT 1 FROM `my-project`.d.t, `my-project`.d.u"),
        ("SELECT a-b.c FROM `my-project.d.t`", None),
        ("DELETE d.t WHERE TRUE", "DELETE FROM d.t WHERE TRUE"),
        ("DELETE FROM d.t WHERE TRUE", None),
        (
            "SELECT TO_JSON_STRING(STRUCT(to_json_string(a) AS b), TRUE)",
            "SELECT IFNULL(TO_JSON_STRING(STRUCT(IFNULL(to_json_string(a), 'null') AS b), TRUE), 'null')",
        ),
        ("SELECT 'TO_JSON_STRING(a)', t.to_json_string FROM t", None),
        (
            "SELECT ARRAY_AGG(DISTINCT x IGNORE NULLS) FROM d.t",
            "SELECT ARRAY_AGG(DISTINCT x) FILTER(WHERE NOT x IS NULL) FROM d.t",
        ),
    ],
)
def test_what_the_emulator_cannot_read_is_rewritten(sql, rewritten):
    assert rewrite(sql, Analysis(), NOW) == (rewritten or sql)


def test_casts_are_rounded_also_inside_each_other():
    sql = "SELECT CAST(CAST(a AS INT64) / 2 AS INT64), CAST(2.5 AS INT64)"
    inner, outer = sql.index("CAST(a"), sql.index("CAST(CAST")
    constant = sql.index("CAST(2.5")
    analysis = Analysis(
        rounded_casts=((outer, sql.index(", ")), (inner, inner + len("CAST(a AS INT64)"))),
        folded_casts=((constant, len(sql), "3"),),
    )
    assert rewrite(sql, analysis, NOW) == "SELECT CAST(ROUND(CAST(ROUND(a ) AS INT64) / 2 ) AS INT64), 3"


def test_insert_row_is_written_out():
    sql = "MERGE d.t USING d.s AS S ON FALSE WHEN NOT MATCHED THEN INSERT ROW"
    assert rewrite(sql, Analysis(inserted_row=(("a", "x"), ("b", "y"))), NOW).endswith(
        "INSERT (`a`, `b`) VALUES (`S`.`x`, `S`.`y`)"
    )


def test_each_action_of_an_alter_is_a_statement():
    assert split_alter("ALTER TABLE d.t ADD COLUMN a INT64, ADD COLUMN b STRING") == [
        "ALTER TABLE d.t ADD COLUMN a INT64",
        "ALTER TABLE d.t ADD COLUMN b STRING",
    ]
    assert split_alter("ALTER TABLE d.t DROP COLUMN a") == ["ALTER TABLE d.t DROP COLUMN a"]


@pytest.mark.parametrize(
    ("sql", "script"), [("SELECT ';'", False), ("SELECT 1;", False), ("SELECT 1; SELECT 2;", True)]
)
def test_a_script_has_more_than_one_statement(sql, script):
    assert is_script(sql) is script
