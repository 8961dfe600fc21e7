"""Which queries a table listing can answer."""

from __future__ import annotations

import pytest

from services.core.errors import CatalogError
from services.gcp import table_listing


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a, COUNT(*) FROM d.t",
        "SELECT a FROM d.t JOIN d.u ON a = b",
        "SELECT a FROM d.t WHERE a = 'x'",
        "SELECT a FROM d.t WHERE a = @x OR b = @y",
        "SELECT a FROM d.t ORDER BY a",
    ],
)
def test_a_query_that_cannot_be_listed_may_not_be_marked_listable(sql):
    with pytest.raises(CatalogError, match="more than columns of one table"):
        table_listing.parse("x.y", sql)
