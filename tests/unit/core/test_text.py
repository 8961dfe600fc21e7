"""Text helpers."""

from __future__ import annotations

import pytest

from services.core.text import pluralize


@pytest.mark.parametrize(("count", "expected"), [(0, "0 queries"), (1, "1 query"), (2000, "2,000 queries")])
def test_a_count_is_formatted_with_its_noun(count, expected):
    assert pluralize(count, "query", "queries") == expected
    assert pluralize(count, "row") == expected.replace("queries", "rows").replace("query", "row")
