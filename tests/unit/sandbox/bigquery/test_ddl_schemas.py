"""The columns after CREATE and ALTER."""

from __future__ import annotations

from typing import Any

import pytest

from services.sandbox.bigquery.ddl_schemas import declared_fields, schema_after
from services.sandbox.bigquery.sql_analysis import SqlAnalyzer, build_catalog, build_options

A = {"name": "a", "type": "INTEGER", "mode": "REQUIRED", "description": "kept"}
B = {"name": "b", "type": "STRING", "mode": "NULLABLE"}
CATALOG = build_catalog({("d", "t"): [A, B]}, {})


def after(sql: str, current: list | None = None) -> Any:
    analysis = SqlAnalyzer().analyze(sql, CATALOG, build_options(()))
    assert not analysis.error
    return schema_after(analysis.ddl, [A, B] if current is None else current)


def test_declared_columns_keep_their_types_and_modes():
    assert declared_fields(
        "CREATE TABLE d.u (a INT64 NOT NULL, b ARRAY<STRUCT<c JSON, d ARRAY<BOOL>>>, e NUMERIC(5, 1))"
    ) == [
        {"name": "a", "mode": "REQUIRED", "type": "INTEGER"},
        {
            "name": "b",
            "mode": "REPEATED",
            "type": "RECORD",
            "fields": [
                {"name": "c", "mode": "NULLABLE", "type": "JSON"},
                {"name": "d", "mode": "REPEATED", "type": "BOOLEAN"},
            ],
        },
        {"name": "e", "mode": "NULLABLE", "type": "NUMERIC"},
    ]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("CREATE OR REPLACE TABLE d.t AS SELECT 1.5 AS x", ["x"]),
        ("CREATE VIEW d.v AS SELECT b FROM d.t", ["b"]),
        ("CREATE TABLE IF NOT EXISTS d.t (x INT64)", ["a", "b"]),
        ("ALTER TABLE d.t ADD COLUMN c JSON, ADD COLUMN IF NOT EXISTS a STRING", ["a", "b", "c"]),
        ("ALTER TABLE d.t DROP COLUMN b", ["a"]),
        ("ALTER TABLE d.t RENAME COLUMN b TO x", ["a", "x"]),
    ],
)
def test_the_columns_follow_the_statement(sql, names):
    assert [field["name"] for field in after(sql)] == names


def test_altered_columns_change_and_others_stay_as_they_are():
    assert after("ALTER TABLE d.t ALTER COLUMN a DROP NOT NULL") == [{**A, "mode": "NULLABLE"}, B]
    assert after("ALTER TABLE d.t ALTER COLUMN a SET DATA TYPE NUMERIC")[0]["type"] == "NUMERIC"


def test_a_schema_has_no_columns():
    assert after("CREATE SCHEMA d2") is None
