"""Which queries may be marked listable."""

from __future__ import annotations

from datetime import date

import pytest
from google.cloud import bigquery

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


def test_a_table_that_is_streamed_into_may_not_be_listed():
    with pytest.raises(CatalogError, match="streamed rows"):
        table_listing.parse("x.y", "SELECT player_lookup FROM nba_predictions.prediction_worker_runs")


def test_an_optional_column_is_one_that_is_selected_and_has_no_condition():
    for sql in ("SELECT a FROM d.t", "SELECT a, b FROM d.t WHERE b = @x"):
        with pytest.raises(CatalogError, match="says @optional b, which it does not select or has a condition on"):
            table_listing.parse("x.y", sql, ["b"])


DAY = {"game_date": date(2025, 12, 29)}


def make_table(**metadata: object) -> bigquery.Table:
    """A table with a game_date and a created_at, as tables.get describes it."""
    columns = [{"name": "game_date", "type": "DATE"}, {"name": "created_at", "type": "TIMESTAMP"}]
    return bigquery.Table.from_api_repr(
        {
            "tableReference": {"projectId": "p", "datasetId": "d", "tableId": "t"},
            "type": "TABLE",
            "numRows": "10",
            "schema": {"fields": columns},
            **metadata,
        }
    )


@pytest.mark.parametrize(
    ("partitioning", "listed"),
    [
        ({"type": "DAY", "field": "game_date"}, "d.t$20251229"),
        ({"type": "DAY", "field": "created_at"}, "d.t"),
        ({"type": "HOUR", "field": "created_at"}, "d.t"),
        ({"type": "MONTH", "field": "game_date"}, "d.t"),
        ({"type": "YEAR", "field": "game_date"}, "d.t"),
        ({"type": "DAY"}, "d.t"),
        (None, "d.t"),
    ],
)
def test_a_day_is_listed_alone_only_where_the_table_is_partitioned_by_the_days_of_that_column(partitioning, listed):
    query = table_listing.parse("x.y", "SELECT created_at FROM d.t WHERE game_date = @game_date")
    table = make_table(**({"timePartitioning": partitioning} if partitioning else {}))
    assert table_listing.partitions_to_list(query, table, DAY) == (listed,)


@pytest.mark.parametrize(
    "metadata", [{"streamingBuffer": {"estimatedRows": "1"}}, {"type": "VIEW"}, {"type": "EXTERNAL"}], ids=str
)
def test_what_a_listing_would_not_give_whole_is_queried(metadata):
    query = table_listing.parse("x.y", "SELECT created_at FROM d.t WHERE game_date = @game_date")
    assert table_listing.partitions_to_list(query, make_table(**metadata), DAY) is None
