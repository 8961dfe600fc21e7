"""Staging tables of the module's own sandbox: already merged ones, and a leftover batch."""

from __future__ import annotations

import pytest

DATASET = "nba_predictions"


def list_staging_tables(clients, name_prefix: str) -> list[str]:
    return sorted(
        t.table_id for t in clients.bigquery.list_tables(DATASET) if t.table_id.startswith(f"_staging_{name_prefix}")
    )


@pytest.fixture
def merged_tables(module_clients):
    names = list_staging_tables(module_clients, "batch_2025_12_23")
    assert len(names) == 6
    return names


@pytest.fixture
def unmerged_tables(module_clients):
    names = list_staging_tables(module_clients, "batch_2025_12_25")
    assert names
    return names


def read_rows(clients, name) -> list[str]:
    return sorted(
        str(tuple(row.values())) for row in clients.bigquery.query(f"SELECT * FROM {DATASET}.{name}").result()
    )


def run_sql(clients, statement: str) -> None:
    clients.bigquery.query(statement).result()
