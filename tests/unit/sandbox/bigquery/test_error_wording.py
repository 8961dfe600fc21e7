"""The engine's errors in BigQuery's words."""

from __future__ import annotations

import pytest

from services.sandbox.bigquery.error_wording import NOT_RUN, to_bigquery_error

PREFIX = "Query execution failed: "


@pytest.mark.parametrize(
    ("message", "wording"),
    [
        (
            "Constraint Error: NOT NULL constraint failed: t.player_lookup",
            "Required field player_lookup cannot be null",
        ),
        ("division by zero: 1 / 0 (Invalid Input Error: Division by zero)", "division by zero"),
        ("Out of Range Error: Overflow in addition of INT64 (1 + 2)!", "int64 overflow: 1 + 2"),
        ("Conversion Error: Could not convert string 'a|b' to INT64\n\nLINE 1: x", "Bad int64 value: a|b"),
        ("Invalid Input Error: my own error", "my own error"),
        ('Binder Error: Referenced column "x" not found in FROM clause!', "Unrecognized name: x"),
        ('Binder Error: Table "t" does not have a column named "x"', "Name x not found inside t"),
        ("Parser Error: Only one ALTER command per statement is supported", NOT_RUN),
        ("Conversion Error: Unimplemented type for cast (VARCHAR -> BIGINT)", NOT_RUN),
        ("Unrecognized name: foo at [1:8]", "Unrecognized name: foo at [1:8]"),
        ("Column 1 has type DECIMAL", "Column 1 has type DECIMAL"),
    ],
)
def test_messages_are_bigquerys(message, wording):
    error = to_bigquery_error({"reason": "invalidQuery", "message": PREFIX + message, "location": "query"})
    assert error == {"reason": "invalidQuery", "message": wording, "location": "query"}


def test_reasons_are_bigquerys():
    missing = to_bigquery_error(
        {"reason": "invalid", "message": "Not found: Table p-1.d.t was not found in location US"}
    )
    assert missing == {"reason": "notFound", "message": "Not found: Table p-1:d.t was not found in location US"}
    too_old = to_bigquery_error({"reason": "outOfRange", "message": "FOR SYSTEM_TIME AS OF is before the window"})
    assert too_old["reason"] == "invalidQuery"
