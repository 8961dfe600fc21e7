"""The query catalog: headers match their SQL, table names are the only text put into SQL, and what may be cached."""

from __future__ import annotations

import re

import pytest

from services.actions.log_reader import ActionRow
from services.core.errors import CatalogError, InvalidInput
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog


@pytest.mark.parametrize(
    "name",
    [
        "nba_predictions.t`; DROP TABLE nba_predictions.x; --",
        "nba_predictions.t WHERE 1=1",
        "nba_predictions.t\n",
        "nba_predictions",
        "a.b.c.d",
        "nba_predictions.t`",
        "nba_predictions.*x",
        "",
        "../secrets.t",
        "nba_predictions.t\u00e9",
    ],
)
def test_an_invalid_table_name_is_refused(name):
    with pytest.raises(InvalidInput):
        query_catalog.quote_table_id(name)


@pytest.mark.parametrize("name", ["nba_predictions.t", "nba-props-platform.nba_predictions._staging_batch_1", "d.t_*"])
def test_a_table_name_is_quoted(name):
    assert query_catalog.quote_table_id(name) == f"`{name}`"


def test_a_modifying_statement_is_never_cacheable():
    cacheable_changes = [
        path.stem
        for path in query_catalog.QUERIES_DIR.rglob("*.sql")
        if _is_modifying(path) and _parse_query(path).cacheable
    ]
    assert not cacheable_changes


def test_the_tables_of_every_query_match_the_sql_parser():
    from services.sandbox.bigquery.sql_inspection import inspect_sql

    for path in query_catalog.QUERIES_DIR.rglob("*.sql"):
        query = _parse_query(path)
        if query.cacheable:
            assert set(query.source_tables) == set(inspect_sql(query.sql).tables), query.name


def _parse_query(path) -> query_catalog.Query:
    return query_catalog.parse(path.stem, path.read_text())


def _is_modifying(path) -> bool:
    from services.sandbox.bigquery.sql_inspection import inspect_sql

    return inspect_sql(_parse_query(path).sql).is_dml or "CREATE" in path.read_text()


def test_every_column_of_the_action_log_is_written_and_read():
    schema = (query_catalog.QUERIES_DIR / "schema" / "actions.sql").read_text()
    columns = set(re.findall(r"^  (\w+) (?:STRING|TIMESTAMP|INT64|JSON)\b", schema, re.MULTILINE))
    assert len(columns) == 19
    append = query_catalog.load("actions.append")
    written = re.search(r"INSERT INTO \S+ \(([^)]*)\)", append.sql)
    assert written is not None
    assert set(re.findall(r"\w+", written[1])) == set(append.params) == columns
    assert set(re.findall(r"@(\w+)", append.sql)) == columns
    assert set(ActionRow.__annotations__) == columns
    for name in ("actions.between", "actions.by_id", "actions.by_key"):
        assert columns <= set(re.findall(r"\w+", query_catalog.load(name).sql)), name


def test_the_server_time_query_names_no_table_and_is_never_answered_from_the_cache():
    server_time = query_catalog.load("actions.server_time")
    assert (server_time.source_tables, server_time.params, server_time.cacheable) == ((), {}, False)


@pytest.mark.parametrize("name", ["x`; DROP TABLE y", "only_a_table", "a.b.c.d", "ds.t WHERE 1=1", ""])
def test_an_invalid_table_name_never_reaches_the_sql(name):
    with pytest.raises(InvalidInput):
        query_catalog.quote_table_id(name)


def test_a_header_that_does_not_match_its_sql_is_refused():
    with pytest.raises(CatalogError, match="declares"):
        query_catalog.parse("x.y", "-- A question?\n-- @param day DATE  unused\nSELECT 1")


def test_a_part_that_is_a_table_name_stands_as_it_is_and_is_read_as_a_table():
    header = "-- A question?\n-- @listable\n-- @part predictions  the table\n"
    query = query_catalog.parse("x.y", f"{header}SELECT game_id FROM {{predictions}}")
    assert query.sql == f"SELECT game_id FROM {PREDICTIONS_TABLE}"
    assert (query.source_tables, query.cacheable) == ((PREDICTIONS_TABLE,), True)
    assert query.listable is not None
    assert query.listable.table == PREDICTIONS_TABLE


def test_any_other_part_stands_in_parentheses():
    assert "COUNTIF(\nIFNULL(" in query_catalog.load("nights.coverage_history").sql
