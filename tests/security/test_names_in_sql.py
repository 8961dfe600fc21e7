"""A table's name is the only text that is ever put into SQL, and only when it is nothing but a name."""

from __future__ import annotations

import pytest

from services.core.errors import BadInput
from services.gcp import query_catalog as catalog


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
def test_what_is_not_a_table_name_never_reaches_sql(name):
    with pytest.raises(BadInput):
        catalog.table_id(name)


@pytest.mark.parametrize("name", ["nba_predictions.t", "nba-props-platform.nba_predictions._staging_batch_1", "d.t_*"])
def test_a_table_name_is_quoted(name):
    assert catalog.table_id(name) == f"`{name}`"
