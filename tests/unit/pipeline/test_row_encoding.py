"""Each column type takes what BigQuery would load, in the form in which a load job reads it; the rest is refused by its path."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from google.cloud.bigquery import SchemaField
from hypothesis import given
from hypothesis import strategies as st

from services.batches.business_key import business_key
from services.pipeline.row_encoding import Column, SchemaMismatch, encode_rows

EASTERN = timezone(timedelta(hours=-5))
NOON = datetime(2025, 12, 29, 12, tzinfo=UTC)


def encode(field_type: str, value: object, **kwargs) -> object:
    """One value of a nullable column of this type; None for NULL."""
    (row,) = encode_rows([{"x": value}], [Column("x", field_type, False, **kwargs)])
    return row.get("x")


def refuse(field_type: str, value: object, **kwargs) -> str:
    with pytest.raises(SchemaMismatch) as refusal:
        encode(field_type, value, **kwargs)
    return refusal.value.message


@pytest.mark.parametrize(
    ("field_type", "value", "expected"),
    [
        ("STRING", "Dončić", "Dončić"),
        ("STRING", 22500431, "22500431"),
        ("STRING", np.str_("x"), "x"),
        ("INTEGER", np.int64(7), 7),
        ("INTEGER", 3.0, 3),
        ("INTEGER", Decimal("4.000"), 4),
        ("INTEGER", -(2**63), -(2**63)),
        ("FLOAT", Decimal("88.5"), 88.5),
        ("FLOAT", np.float32(0.5), 0.5),
        ("FLOAT", 7, 7.0),
        ("NUMERIC", Decimal("20.50"), "20.5"),
        ("NUMERIC", 20.5, "20.5"),
        ("NUMERIC", "100", "100"),
        ("NUMERIC", Decimal(-1) / 3, "-0.333333333"),
        ("NUMERIC", Decimal("0.0000000005"), "0.000000001"),
        ("NUMERIC", Decimal("-0.0000000004"), "0"),
        ("NUMERIC", Decimal("9" * 29 + "." + "9" * 9), "9" * 29 + "." + "9" * 9),
        ("BIGNUMERIC", Decimal("0." + "0" * 37 + "1"), "0." + "0" * 37 + "1"),
        ("BOOLEAN", np.bool_(False), False),
        ("TIMESTAMP", NOON, "2025-12-29T12:00:00.000000+00:00"),
        ("TIMESTAMP", NOON.astimezone(EASTERN), "2025-12-29T12:00:00.000000+00:00"),
        ("TIMESTAMP", NOON.replace(tzinfo=None), "2025-12-29T12:00:00.000000+00:00"),
        ("TIMESTAMP", "2025-12-29T07:00:00-05:00", "2025-12-29T12:00:00.000000+00:00"),
        ("TIMESTAMP", date(2025, 12, 29), "2025-12-29T00:00:00.000000+00:00"),
        ("TIMESTAMP", np.datetime64("2025-12-29T12:00:00.123456789"), "2025-12-29T12:00:00.123456+00:00"),
        ("TIMESTAMP", pd.Timestamp(NOON), "2025-12-29T12:00:00.000000+00:00"),
        ("DATETIME", NOON.replace(tzinfo=None, microsecond=5), "2025-12-29T12:00:00.000005"),
        ("DATE", date(2025, 12, 29), "2025-12-29"),
        ("DATE", "2025-12-29", "2025-12-29"),
        ("DATE", np.datetime64("2025-12-29"), "2025-12-29"),
        ("DATE", pd.Timestamp("2025-12-29"), "2025-12-29"),
        ("TIME", time(19, 30), "19:30:00.000000"),
        ("TIME", "19:30", "19:30:00.000000"),
        ("BYTES", b"\x00\xff", "AP8="),
        ("BYTES", "AP8=", "AP8="),
        ("GEOGRAPHY", "POINT(1 2)", "POINT(1 2)"),
        (
            "GEOGRAPHY",
            {"type": "Point", "coordinates": (Decimal("1.5"), 2)},
            '{"type": "Point", "coordinates": [1.5, 2]}',
        ),
        ("INTERVAL", "0-0 1 0:0:0", "0-0 1 0:0:0"),
        ("JSON", {"a": [Decimal("12.4"), Decimal("2.0"), -0.0, None, True]}, {"a": [12.4, 2, 0.0, None, True]}),
        ("JSON", Decimal(2**60 + 1), 2**60 + 1),
        ("JSON", "text", "text"),
        ("JSON", {"at": NOON, "on": date(2025, 12, 29)}, {"at": "2025-12-29T12:00:00+00:00", "on": "2025-12-29"}),
        ("JSON", {"n": np.float64(1.5), "a": np.array([1, 2]), "none": pd.NaT}, {"n": 1.5, "a": [1, 2], "none": None}),
        ("JSON", (1, [2]), [1, [2]]),
    ],
)
def test_a_value_is_encoded_as_its_column_loads_it(field_type, value, expected):
    encoded = encode(field_type, value)
    assert (encoded, type(encoded)) == (expected, type(expected))


@pytest.mark.parametrize(("field_type", "zero"), [("FLOAT", "0.0"), ("NUMERIC", '"0"'), ("JSON", "0.0")])
def test_minus_zero_is_zero(field_type, zero):
    assert json.dumps(encode(field_type, -0.0)) == zero


@pytest.mark.parametrize("missing", [None, pd.NaT, pd.NA, np.datetime64("NaT"), np.datetime64("NaT", "ns")])
@pytest.mark.parametrize("field_type", ["STRING", "FLOAT", "NUMERIC", "TIMESTAMP", "DATE", "JSON", "RECORD"])
def test_what_pandas_and_numpy_call_missing_is_null(field_type, missing):
    assert encode(field_type, missing) is None


@pytest.mark.parametrize(
    ("field_type", "value", "reason"),
    [
        ("STRING", True, "x is True, not a text"),
        ("STRING", {"a": 1}, "x is {'a': 1}, not a text"),
        ("INTEGER", 1.5, "x is 1.5, not an integer of 64 bits"),
        ("INTEGER", 2**63, "not an integer of 64 bits"),
        ("INTEGER", -(2**63) - 1, "not an integer of 64 bits"),
        ("INTEGER", True, "x is True, not an integer of 64 bits"),
        ("FLOAT", math.nan, "x is nan, not a finite number"),
        ("FLOAT", -math.inf, "x is -inf, not a finite number"),
        ("FLOAT", Decimal("NaN"), "x is Decimal('NaN'), not a finite number"),
        ("FLOAT", Decimal("1e400"), "x is Decimal('1E+400'), not a finite number"),
        ("NUMERIC", "n/a", "x is 'n/a', not a number of at most 29 digits before the point"),
        ("NUMERIC", Decimal(10) ** 29, "not a number of at most 29 digits before the point"),
        ("NUMERIC", np.float64("nan"), "x is nan, not a number"),
        ("BIGNUMERIC", Decimal(10) ** 38, "not a number of at most 38 digits before the point"),
        ("BOOLEAN", 1, "x is 1, not true or false"),
        ("TIMESTAMP", "soon", "x is 'soon', not a time"),
        ("TIMESTAMP", 5, "x is 5, not a time"),
        ("DATETIME", NOON, "not a time without a zone"),
        ("DATE", NOON, "not a date"),
        ("TIME", time(1, tzinfo=UTC), "not a time of day"),
        ("BYTES", "no base64!", "x is 'no base64!', not bytes or base64"),
        ("BYTES", [1], "x is [1], not bytes or base64"),
        ("GEOGRAPHY", 1.5, "x is 1.5, not WKT or GeoJSON"),
        ("JSON", {"a": [{"b": math.nan}]}, "x.a[0].b is nan, which no table can hold"),
        ("JSON", {"a": {1, 2}}, "x.a is {1, 2}, not a JSON value"),
        ("JSON", {1: 2}, "x has a key that is no text"),
        ("RECORD", [1], "x is [1], not a record"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path_and_why(field_type, value, reason):
    assert reason in refuse(field_type, value)


FEATURES = Column(
    "features",
    "RECORD",
    False,
    repeated=True,
    fields=(
        Column("name", "STRING", True),
        Column("values", "FLOAT", False, repeated=True),
        Column("at", "RECORD", False, fields=(Column("day", "DATE", False),)),
    ),
)


def test_records_and_arrays_are_encoded_by_the_types_of_their_fields():
    row = {
        "features": (
            {"name": "pace", "values": np.array([1, 2.5]), "at": {"day": date(2025, 12, 29)}},
            {"name": "rest", "values": None, "at": None},
        )
    }
    assert encode_rows([row], [FEATURES]) == [
        {"features": [{"name": "pace", "values": [1.0, 2.5], "at": {"day": "2025-12-29"}}, {"name": "rest"}]}
    ]
    assert encode_rows([{"features": []}], [FEATURES]) == [{"features": []}]


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"name": "pace"}, "features is {'name': 'pace'}, not a list"),
        ("text", "features is 'text', not a list"),
        ([None], "features[0] is NULL, which an array cannot hold"),
        ([{"name": "pace"}, {"values": [1.0]}], "the required field features[1].name is empty"),
        ([{"name": "pace", "colour": 1, "b": 2}], "features[0] has fields that the table lacks: b, colour"),
        ([{"name": "pace", "values": [1.0, math.inf]}], "features[0].values[1] is inf, not a finite number"),
        ([{"name": "pace", "values": [1.0, pd.NA]}], "features[0].values[1] is NULL, which an array cannot hold"),
        ([{"name": "pace", "at": {"day": 5}}], "features[0].at.day is 5, not a date"),
    ],
)
def test_what_does_not_fit_inside_a_record_is_named_by_its_whole_path(features, reason):
    with pytest.raises(SchemaMismatch) as refusal:
        encode_rows([{"features": features}], [FEATURES])
    assert reason in refusal.value.message


def test_the_row_and_its_player_are_named():
    columns = [Column("player_lookup", "STRING", True), Column("points", "NUMERIC", True)]
    rows = [{"player_lookup": "a", "points": 1}, {"player_lookup": "herbjones", "points": math.nan}]
    with pytest.raises(SchemaMismatch) as refusal:
        encode_rows(rows, columns)
    assert refusal.value.message.startswith("Row 2 (herbjones): points is nan, not a number")
    with pytest.raises(SchemaMismatch, match=r"^Row 1 \(no player\): the required field player_lookup is empty\."):
        encode_rows([{"points": 1}], columns)


def test_every_field_that_the_table_lacks_is_named_at_once():
    with pytest.raises(SchemaMismatch) as refusal:
        encode_rows([{"b": 1}, {"x": 2, "a": None}], [Column("x", "INTEGER", False)])
    assert refusal.value.message == "The predictions have 2 fields that the table lacks: a, b."


def test_columns_are_read_from_the_schema_with_their_sql_types():
    fields = [
        SchemaField("n", "INT64", mode="REQUIRED"),
        SchemaField("f", "FLOAT64"),
        SchemaField("tags", "STRING", mode="REPEATED"),
        SchemaField(
            "r",
            "STRUCT",
            mode="REPEATED",
            fields=[SchemaField("ok", "BOOL"), SchemaField("xs", "INTEGER", mode="REPEATED")],
        ),
    ]
    columns = [Column.from_field(field) for field in fields]
    assert columns[0] == Column("n", "INTEGER", True)
    assert [c.sql_type for c in columns] == [
        "INT64",
        "FLOAT64",
        "ARRAY<STRING>",
        "ARRAY<STRUCT<`ok` BOOL, `xs` ARRAY<INT64>>>",
    ]
    assert columns[3].fields == (Column("ok", "BOOLEAN", False), Column("xs", "INTEGER", False, repeated=True))
    assert columns[2].repeated
    sized = [SchemaField("a", "NUMERIC", precision=5, scale=1), SchemaField("b", "NUMERIC", precision=5)]
    assert [Column.from_field(field).scale for field in sized] == [1, 0]
    assert columns[0].scale is None


def test_a_decimal_column_of_its_own_scale_gets_what_it_would_round_to():
    assert encode("NUMERIC", Decimal("12.25"), scale=1) == "12.3"
    assert encode("NUMERIC", Decimal("-12.5"), scale=0) == "-13"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(), parts, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_json_value_arrives_as_the_value_that_it_was(value):
    encoded = encode("JSON", value)
    assert encoded == value
    json.dumps(encoded, allow_nan=False)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18))
def test_a_line_has_one_key_before_and_after_it_was_staged(line):
    """The key of what is sent equals the key of what a table gives back: a NUMERIC, never −0."""
    sent = encode("NUMERIC", line)
    key = {"game_date": "2025-12-29", "game_id": "g", "player_lookup": "p", "system_id": "s"}
    back = Decimal(str(sent))
    assert abs(back - line) <= Decimal("0.0000000005")
    assert business_key({**key, "current_points_line": sent}) == business_key({**key, "current_points_line": back})
    assert sent != "-0"


@given(st.binary())
def test_bytes_come_back_whole(value):
    assert base64.b64decode(str(encode("BYTES", value))) == value


@given(st.datetimes(timezones=st.just(UTC) | st.just(EASTERN), min_value=NOON.replace(tzinfo=None, year=1000)))
def test_a_time_is_the_same_moment_in_utc(value):
    encoded = datetime.fromisoformat(str(encode("TIMESTAMP", value)))
    assert (encoded, encoded.utcoffset()) == (value, timedelta(0))


@given(st.one_of(st.floats(), st.text(), st.integers(), st.none(), st.binary(), st.lists(st.floats())))
@pytest.mark.parametrize(
    "field_type", ["STRING", "INTEGER", "FLOAT", "NUMERIC", "BOOLEAN", "DATE", "TIMESTAMP", "JSON"]
)
def test_whatever_a_predictor_gives_is_json_or_refused(field_type, value):
    try:
        encoded = encode(field_type, value)
    except SchemaMismatch:
        return
    json.dumps(encoded, allow_nan=False)
