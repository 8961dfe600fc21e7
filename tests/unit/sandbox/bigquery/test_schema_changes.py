"""Which changes of a schema BigQuery allows."""

from __future__ import annotations

import duckdb
import pytest

from services.sandbox.bigquery.schema_changes import SchemaMismatch, add_column_statements, merge_schema

ID = {"name": "id", "type": "STRING", "mode": "REQUIRED"}
LINE = {"name": "line", "type": "FLOAT"}
TAGS = {"name": "tags", "type": "STRING", "mode": "REPEATED"}
GAME = {"name": "game", "type": "RECORD", "fields": [{"name": "home", "type": "STRING"}]}


def names(fields: list[dict[str, object]]) -> list[object]:
    return [field["name"] for field in fields]


def test_new_columns_come_last_and_the_current_ones_keep_their_order():
    assert names(merge_schema([ID, LINE], [TAGS, LINE, ID])) == ["id", "line", "tags"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([ID], "Field line is missing in new schema"),
        ([ID, {"name": "line", "type": "STRING"}], "Field line has changed type from FLOAT to STRING"),
        ([ID, {**LINE, "mode": "REQUIRED"}], "Field line has changed mode from NULLABLE to REQUIRED"),
        ([ID, {**LINE, "mode": "REPEATED"}], "Field line has changed mode from NULLABLE to REPEATED"),
        (
            [ID, LINE, {**TAGS, "mode": "REQUIRED"}],
            r"Cannot add required fields to an existing schema. \(field: tags\)",
        ),
    ],
)
def test_what_breaks_existing_rows_is_refused(wanted, message):
    with pytest.raises(SchemaMismatch, match=message):
        merge_schema([ID, LINE], wanted)


def test_a_required_column_may_become_optional():
    assert merge_schema([ID], [{**ID, "mode": "NULLABLE"}])[0]["mode"] == "NULLABLE"
    with pytest.raises(SchemaMismatch, match="Field id has changed mode from REQUIRED to NULLABLE"):
        merge_schema([ID], [{**ID, "mode": "NULLABLE"}], may_relax=False)


def test_the_two_spellings_of_a_type_are_one_type():
    assert names(merge_schema([LINE], [{"name": "LINE", "type": "FLOAT64"}])) == ["line"]


def test_a_load_may_leave_out_optional_columns_and_no_others():
    assert names(merge_schema([ID, LINE], [ID], may_omit=True, may_add=False)) == ["id", "line"]
    with pytest.raises(SchemaMismatch, match="Field id is missing in new schema"):
        merge_schema([ID, LINE], [LINE], may_omit=True)
    with pytest.raises(SchemaMismatch, match=r"Cannot add fields \(field: tags\)"):
        merge_schema([ID], [ID, TAGS], may_add=False)


def test_a_record_gains_fields_inside():
    wider = {**GAME, "fields": [*GAME["fields"], {"name": "away", "type": "STRING"}]}
    assert names(merge_schema([GAME], [wider])[0]["fields"]) == ["home", "away"]
    with pytest.raises(SchemaMismatch, match=r"Field game\.home is missing in new schema"):
        merge_schema([GAME], [{**GAME, "fields": []}])


@pytest.mark.parametrize("record_mode", ["NULLABLE", "REPEATED"])
def test_every_added_column_becomes_one_in_duckdb(record_mode):
    game = {**GAME, "mode": record_mode}
    suffix = "[]" if record_mode == "REPEATED" else ""
    wider = {**game, "fields": [*GAME["fields"], {"name": "away", "type": "INTEGER"}]}
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t (id VARCHAR, game STRUCT(home VARCHAR){suffix})")
        for sql in add_column_statements("t", [ID, game], [ID, wider, TAGS, LINE]):
            connection.execute(sql)
        columns = {row[0]: row[1] for row in connection.execute("DESCRIBE t").fetchall()}
    assert columns == {
        "id": "VARCHAR",
        "game": f"STRUCT(home VARCHAR, away BIGINT){suffix}",
        "tags": "VARCHAR[]",
        "line": "DOUBLE",
    }
