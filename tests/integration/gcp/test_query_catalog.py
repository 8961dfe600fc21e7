"""Queries against the sandbox's BigQuery: refused parameters, the bytes limit, error messages and what is billed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.core.errors import CatalogError, OverBytesLimit, TableNotFound
from services.core.settings import Settings
from services.gcp import query_catalog
from tests.integration.queries.test_query_results import NIGHT


def test_an_unknown_or_missing_parameter_is_refused_before_the_query_runs(clients):
    with pytest.raises(CatalogError, match=r"nights.written_rows takes \['game_date'\], got \['day'\]"):
        query_catalog.run_query(clients, "nights.written_rows", day=NIGHT)


def test_an_unknown_query_is_refused(clients):
    with pytest.raises(CatalogError, match="no query"):
        query_catalog.run_query(clients, "night.nothing")


def test_a_query_over_its_bytes_limit_is_refused_with_a_message_and_not_billed(sandbox, clients):
    from dataclasses import replace

    limited_clients = replace(clients, settings=Settings.from_env({"SANDBOX_URL": sandbox.url, "QUERY_LIMIT_MIB": "5"}))
    before = sandbox.state.meter.bytes_billed
    with pytest.raises(OverBytesLimit, match="would bill more"):
        query_catalog.run_query(limited_clients, "nights.first_night")
    assert sandbox.state.meter.bytes_billed == before


def test_a_missing_table_is_reported_by_name(clients):
    tables = {"staging": "nba_predictions.no_such_table"}
    with pytest.raises(TableNotFound, match="not found"):
        query_catalog.run_query(clients, "staging.merge_proof", tables=tables, first_date=NIGHT, last_date=NIGHT)


def test_every_query_is_billed_at_least_ten_mib_per_table_it_names(sandbox, clients):
    query_result = query_catalog.run_query(clients, "nights.first_night")
    assert query_result.source.bytes_billed >= 10 * 1024 * 1024
    assert query_result.source.read_at - clients.now() < timedelta(seconds=5)
