"""Staging tables of the module's own sandbox: already merged ones, and a leftover batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from services.batches.ids import parse_batch_date
from services.batches.ledger import BatchRecord, Ledger
from services.batches.state import BatchState

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


@pytest.fixture
def start_batch(module_clients) -> Iterator[Callable[[str], None]]:
    """Records a batch as running, until the test ends."""
    ledger, records = Ledger(module_clients), []

    def start(batch_id: str) -> None:
        records.append(BatchRecord(batch_id, parse_batch_date(batch_id), BatchState.RUNNING, 1, "another instance"))
        ledger.append_state(records[-1])

    yield start
    for record in records:
        ledger.append_state(replace(record, state=BatchState.CONSOLIDATED, sequence=2))
