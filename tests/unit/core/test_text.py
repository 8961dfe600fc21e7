"""Counts with their nouns."""

from __future__ import annotations

import pytest

from app.components import text_format


@pytest.mark.parametrize(("count", "told"), [(0, "0 queries"), (1, "1 query"), (2000, "2,000 queries")])
def test_a_count_is_formatted_with_its_noun(count, told):
    assert text_format.pluralize(count, "query", "queries") == told
    assert text_format.pluralize(count, "row") == told.replace("queries", "rows").replace("query", "row")
