"""Labels as BigQuery allows them."""

from __future__ import annotations

import pytest

from services.sandbox.bigquery.labels import find_invalid_label


@pytest.mark.parametrize("labels", [{}, {"a": ""}, {"owner-1_x": "9-_"}, {"é": "ü"}, {"a" * 63: "b" * 63}])
def test_lower_case_letters_digits_and_dashes_are_valid(labels):
    assert find_invalid_label(labels) is None


@pytest.mark.parametrize(
    "labels", [{"A": ""}, {"a": "B"}, {"1a": ""}, {"": "x"}, {"a": "b c"}, {"a": "b" * 64}, {"a.b": "c"}]
)
def test_anything_else_is_not(labels):
    assert "has invalid characters" in (find_invalid_label(labels) or "")
