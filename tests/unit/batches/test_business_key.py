"""The business key: one spelling of the line, and every query that groups by the key names all of its columns."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from services.batches.business_key import BUSINESS_KEY_COLUMNS, BUSINESS_KEY_TYPES, BusinessKey, business_key
from services.gcp import query_catalog
from services.pipeline.merge import merge_sql

ROW = {"game_date": date(2025, 12, 29), "game_id": "g1", "player_lookup": "a", "system_id": "s"}


@pytest.mark.parametrize("line", ["20.5", 20.5, Decimal("20.50"), Decimal("20.500000000")])
def test_one_line_has_one_spelling_whatever_it_is_read_as(line):
    assert business_key({**ROW, "current_points_line": line}) == BusinessKey("2025-12-29", "g1", "a", "s", "20.5")


def test_no_line_is_not_the_line_0_and_20_and_a_half_is_not_21():
    lines = [business_key({**ROW, "current_points_line": line}) for line in (None, 0, "20.5", 21)]
    assert len(set(lines)) == 4
    assert business_key(ROW) == lines[0]


def test_the_players_part_of_a_key_is_the_same_for_each_of_its_lines():
    lower, higher = (business_key({**ROW, "current_points_line": line}) for line in (19.5, 20.5))
    assert lower != higher
    assert lower.player_system == higher.player_system == ("g1", "a", "s")


@pytest.mark.parametrize(
    "name", ["pipeline.business_keys", "staging.merge_proof", "alerts.duplicate_keys", "nights.written_rows"]
)
def test_each_query_on_the_key_names_all_of_its_columns(name):
    sql = query_catalog.load(name).sql
    assert [column for column in BUSINESS_KEY_COLUMNS if column not in sql] == []


def test_the_merge_joins_on_every_column_of_the_key_and_compares_lines_null_safe():
    columns = [*BUSINESS_KEY_COLUMNS, "prediction_id", "created_at", "is_active", "predicted_points"]
    types = {**dict.fromkeys(columns, "STRING"), **BUSINESS_KEY_TYPES}
    sql = " ".join(merge_sql(columns, types, "d.source", "d.target", date(2025, 12, 29)).split())
    for column in ("game_id", "player_lookup", "system_id"):
        assert sql.count(f".{column} = ") == 3, column
    for left, right in (("newest", "target_rows"), ("T", "S")):
        line = "current_points_line"
        assert f"({left}.{line} = {right}.{line} OR ({left}.{line} IS NULL AND {right}.{line} IS NULL))" in sql
    assert (
        "PARTITION BY game_date, game_id, player_lookup, system_id, CAST(CAST(current_points_line AS NUMERIC) AS STRING)"
        in sql
    )


def test_the_merge_retires_and_compares_json_and_arrays_of_the_customers_table():
    columns = [*BUSINESS_KEY_COLUMNS, "prediction_id", "created_at", "is_active", "issues", "features"]
    types = {**dict.fromkeys(columns, "STRING"), **BUSINESS_KEY_TYPES, "issues": "ARRAY<STRING>", "features": "JSON"}
    sql = merge_sql(columns, types, "d.source", "d.target", date(2025, 12, 29))
    assert "CAST(NULL AS ARRAY<STRING>) AS `issues`" in sql
    for column in ("issues", "features"):
        assert f"TO_JSON_STRING(T.`{column}`) IS DISTINCT FROM TO_JSON_STRING(S.`{column}`)" in sql
