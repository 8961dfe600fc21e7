"""A table's name is the only text that is ever put into SQL, and only when it is nothing but a name."""

from __future__ import annotations

import pytest

from services.core.errors import InvalidInput
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
