"""The business key: one spelling of the line, and every query that groups by the key names all of its columns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from services.batches.business_key import BUSINESS_KEY_COLUMNS, BusinessKey, business_key, row_version
from services.gcp import query_catalog

ROW = {"game_date": date(2025, 12, 29), "game_id": "g1", "player_lookup": "a", "system_id": "s"}


@pytest.mark.parametrize("line", ["20.5", 20.5, Decimal("20.50"), Decimal("20.500000000")])
def test_one_line_has_one_spelling_whatever_it_is_read_as(line):
    assert business_key({**ROW, "current_points_line": line}) == BusinessKey("2025-12-29", "g1", "a", "s", "20.5")


def test_no_line_is_not_the_line_0_and_20_and_a_half_is_not_21():
    lines = [business_key({**ROW, "current_points_line": line}) for line in (None, 0, "20.5", 21)]
    assert len(set(lines)) == 4
    assert business_key(ROW) == lines[0]
    assert lines[0].current_points_line == ""


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


@pytest.mark.parametrize("line", ["20", "1" + 28 * "0", "12345678901234567890123456789.987654321"])
def test_a_line_of_whatever_length_is_written_with_all_of_its_digits(line):
    """NUMERIC has 29 digits before the point and 9 after it."""
    assert business_key({**ROW, "current_points_line": Decimal(line)}).current_points_line == line


@pytest.mark.parametrize("line", [-0.0, Decimal("-0.0"), "0.00", 1e-12])
def test_there_is_one_line_0(line):
    assert business_key({**ROW, "current_points_line": line}).current_points_line == "0"


def test_a_line_is_rounded_as_sql_rounds_it():
    lines = [0.1 + 0.2, "0.3000000004", "0.2999999995", "0.3000000005"]
    assert [business_key({**ROW, "current_points_line": line})[-1] for line in lines] == [
        "0.3",
        "0.3",
        "0.3",
        "0.300000001",
    ]


def test_a_missing_part_of_the_key_is_empty_text():
    assert business_key({**ROW, "game_id": None, "game_date": None})[:2] == ("", "")


def test_the_later_row_is_the_newer_one_then_the_one_with_the_greater_id_and_one_without_a_time_is_the_oldest():
    at = datetime(2025, 12, 29, tzinfo=UTC)
    rows = [(None, "z"), (None, None), (at, "a"), (at, "b"), (at + timedelta(microseconds=1), "a")]
    versions = [row_version({"created_at": t, "prediction_id": i, "is_active": n % 2}) for n, (t, i) in enumerate(rows)]
    assert sorted(versions) == [versions[1], versions[0], *versions[2:]]
    assert [version.is_active for version in versions] == [False, True, False, True, False]
    assert versions[1].prediction_id == ""
