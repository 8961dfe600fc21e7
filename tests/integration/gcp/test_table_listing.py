"""A listable query gives the same rows by tabledata.list as by SQL, and falls back to SQL where listing cannot."""

from __future__ import annotations

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog, table_listing
from tests.integration.gcp.test_read_cache import LISTABLE_QUERIES, NIGHT


@pytest.mark.parametrize("name", LISTABLE_QUERIES)
def test_listing_a_table_returns_the_rows_of_the_query(name, clients, meter):
    query = query_catalog.load(name)
    listed_result = query_catalog.run_query(clients, name, **LISTABLE_QUERIES[name])
    assert meter.bytes_billed == 0, "listing is free"
    queried_result = query_catalog._run_sql(clients, name, query.sql, query.bind(**LISTABLE_QUERIES[name]), None)
    assert meter.bytes_billed > 0
    assert sorted(map(str, listed_result.rows)) == sorted(map(str, queried_result.rows))


def test_every_listable_query_is_covered_here():
    declared = {
        f"{p.parent.name}.{p.stem}" for p in query_catalog.QUERIES_DIR.rglob("*.sql") if "-- @listable" in p.read_text()
    }
    assert declared == set(LISTABLE_QUERIES)


def test_large_unpartitioned_and_streamed_tables_are_queried_with_sql(clients):
    listable = query_catalog.load("nights.written_rows").listable
    assert listable is not None
    table = table_listing.fetch_table(clients, PREDICTIONS_TABLE)
    assert table_listing.partitions_to_list(listable, table, {"game_date": NIGHT}) == (f"{PREDICTIONS_TABLE}$20251229",)
    table._properties["numRows"] = "12000"
    table._properties["streamingBuffer"] = {"estimatedRows": "1"}
    assert table_listing.partitions_to_list(listable, table, {"game_date": NIGHT}) is None, "a listing lacks the buffer"
    del table._properties["timePartitioning"], table._properties["streamingBuffer"]
    assert table_listing.partitions_to_list(listable, table, {"game_date": NIGHT}) == (PREDICTIONS_TABLE,)
    table._properties["numRows"] = "195000"
    assert table_listing.partitions_to_list(listable, table, {"game_date": NIGHT}) is None


def test_a_missing_column_is_left_to_the_query_to_report(clients):
    table = table_listing.fetch_table(clients, PREDICTIONS_TABLE)
    listable = table_listing.parse("x.y", f"SELECT no_such_column FROM {PREDICTIONS_TABLE}")
    assert table_listing.partitions_to_list(listable, table, {}) is None
