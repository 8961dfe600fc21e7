"""What GoogleSQL's analyzer says to a statement, and what it finds that the emulator needs."""

from __future__ import annotations

from typing import Any

import pytest

from services.sandbox.bigquery.sql_analysis import Analysis, SqlAnalyzer, build_catalog, build_options, find_tables

FIELDS: list[dict[str, Any]] = [
    {"name": "line", "type": "FLOAT"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
    {"name": "shape", "type": "RECORD", "fields": [{"name": "a", "type": "INTEGER"}]},
    {"name": "facts", "type": "JSON"},
]
CATALOG = build_catalog(
    {("d", "t"): FIELDS, ("p.d.t",): FIELDS, ("p-1", "d", "t"): FIELDS}, {("d", "t"): {"_TABLE_SUFFIX": "STRING"}}
)
DAYS = {"name": "days", "parameterType": {"type": "ARRAY", "arrayType": {"type": "DATE"}}}


def analyze(sql: str, *parameters: dict) -> Analysis:
    return SqlAnalyzer().analyze(sql, CATALOG, build_options(parameters))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT line, tags[0], shape.a, facts.b FROM d.t",
        "SELECT line FROM `p.d.t` JOIN p-1.d.t USING (line)",
        "SELECT _TABLE_SUFFIX FROM d.t",
        "SELECT 1 FROM UNNEST(@days) AS day WHERE day > DATE '2025-01-01'",
        "SELECT CONTAINS_SUBSTR('a', 'b'), d.own_function(1)",
    ],
)
def test_what_bigquery_accepts_has_no_error(sql):
    assert analyze(sql, DAYS).error == ""


def test_positional_parameters_have_their_types():
    assert analyze("SELECT ? + 1", {"parameterType": {"type": "INT64"}}).error == ""
    assert "No matching signature" in analyze("SELECT ? + 1", {"parameterType": {"type": "BOOL"}}).error


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ARRAY_AGG(1) FILTER (WHERE TRUE)",
        "SELECT [1] = [1]",
        "SELECT JSON '1' = JSON '1'",
        "SELECT 1 LIMIT 1 + 1",
    ],
)
def test_what_only_googlesql_knows_is_refused(sql):
    assert analyze(sql).error


def test_casts_to_be_rounded_are_found_by_character():
    sql = "SELECT 'é', CAST(line AS INT64), CAST(shape.a AS INT64), CAST(2.5 AS INT64), CAST('7' AS INT64) FROM d.t"
    analysis = analyze(sql)
    assert [sql[start:end] for start, end in analysis.rounded_casts] == ["CAST(line AS INT64)"]
    assert [(sql[start:end], value) for start, end, value in analysis.folded_casts] == [
        ("CAST(2.5 AS INT64)", "3"),
        ("CAST('7' AS INT64)", "7"),
    ]


def test_insert_rows_columns_are_those_of_target_and_source():
    sql = "MERGE d.t USING (SELECT 1 AS a, ['b'] AS b, STRUCT(1) AS c, JSON '1' AS e) ON FALSE WHEN NOT MATCHED THEN INSERT ROW"
    assert analyze(sql).inserted_row == (("line", "a"), ("tags", "b"), ("shape", "c"), ("facts", "e"))


def test_tables_are_found_as_they_are_written():
    sql = "WITH c AS (SELECT 1) SELECT * FROM c, `p.d.t` AS u, p-1.d.t, d.t, u.tags"
    assert set(find_tables(sql)[0]) == {("p.d.t",), ("p-1", "d", "t"), ("d", "t")}
    assert find_tables("SELECT 'a") == ((), "Syntax error: Unclosed string literal at [1:8]")


def test_a_statement_nested_too_deeply_is_refused_and_the_next_one_is_not():
    assert analyze(f"SELECT {'+'.join(['1'] * 5_000)}").error.endswith("too many subqueries or query is too complex.")
    assert analyze(f"SELECT {'+'.join(['1'] * 500)}").error == ""
