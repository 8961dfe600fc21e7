"""What is done once instead of anew gives what the emulator gives."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import sqlglot
from bqemulator.catalog import ddl_sync
from bqemulator.sql.translator import SQLTranslator
from bqemulator.storage.arrow_bridge import arrow_table_to_bq_rows

from services.sandbox.bigquery import emulator_speed

AT = dt.datetime(2025, 12, 29, 23, 5, 7, 9, tzinfo=dt.UTC)


def test_rows_are_as_the_emulator_writes_them():
    columns = {
        "text": ["a", None, "a"],
        "number": [1, 1, None],
        "share": [1.5, float("nan"), None],
        "flag": [True, False, None],
        "price": [Decimal("1.50"), None, Decimal("1.50")],
        "day": [AT.date(), AT.date(), None],
        "time": [AT.time(), None, AT.time()],
        "at": pa.array([AT, AT, None], pa.timestamp("us", "UTC")),
        "local": pa.array([None, AT.replace(tzinfo=None), None], pa.timestamp("us")),
        "bytes": [b"x", None, b"y"],
        "list": [["a", "b"], None, []],
        "struct": [{"a": 1}, None, {"a": 2}],
    }
    rows = pa.table(columns)
    assert emulator_speed.to_wire_rows(rows) == arrow_table_to_bq_rows(rows)
    same_name = pa.Table.from_arrays([rows["text"], rows["number"]], names=["f0_", "f0_"])
    assert emulator_speed.to_wire_rows(same_name) == arrow_table_to_bq_rows(same_name)
    assert emulator_speed.to_wire_rows(rows.slice(0, 0)) == []


def test_a_parsed_statement_is_nobody_elses():
    emulator_speed.share_work()
    first = sqlglot.parse_one("SELECT a FROM t", read="bigquery")
    first.set("where", sqlglot.exp.Where(this=sqlglot.exp.true()))
    assert sqlglot.parse_one("SELECT a FROM t", read="bigquery").sql() == "SELECT a FROM t"
    assert sqlglot.parse_one("SELECT `a b`", read="bigquery").sql("duckdb") == 'SELECT "a b"'
    assert sqlglot.parse_one('SELECT "a b"', read="duckdb").sql("duckdb") == 'SELECT "a b"'


def test_a_text_that_carries_rows_is_not_kept():
    emulator_speed.share_work()
    before = emulator_speed._parse_text.cache_info().currsize
    sqlglot.parse_one(f"SELECT '{'x' * emulator_speed.MAX_TEXT_CHARACTERS}'", read="bigquery")
    assert emulator_speed._parse_text.cache_info().currsize == before


def test_a_statement_is_searched_for_ddl_until_none_is_found():
    emulator_speed.share_work()
    create = "CREATE TABLE d.t (x INT64)"
    first, second = ddl_sync._detect_plain_create_table(create), ddl_sync._detect_plain_create_table(create)
    assert first == second
    assert first is not second, "what is found may be changed by who has found it"
    texts = []
    detect = emulator_speed._remember_nothing(lambda sql, *project: texts.append((sql, *project)), None)
    long_text = "SELECT 1 --" + "x" * emulator_speed.MAX_TEXT_CHARACTERS
    for asked in (("SELECT 1", "p"), ("SELECT 1", "p"), ("SELECT 1", "q"), ("SELECT 2",), (long_text,), (long_text,)):
        assert detect(*asked) is None
    assert texts == [("SELECT 1", "p"), ("SELECT 1", "q"), ("SELECT 2",), (long_text,), (long_text,)]


def test_a_statement_is_translated_for_the_schema_of_its_tables():
    emulator_speed.share_work()
    sql = "SELECT AVG(x) AS mean FROM t"
    exact, floating = (
        SQLTranslator().translate(sql, schema={"t": {"x": kind}}).unwrap() for kind in ("DECIMAL(38, 9)", "DOUBLE")
    )
    assert exact != floating
    again = SQLTranslator().translate(sql, schema={"t": {"x": "DECIMAL(38, 9)"}})
    assert again.unwrap() == exact
    assert again is SQLTranslator().translate(sql, schema={"t": {"x": "DECIMAL(38, 9)"}})
