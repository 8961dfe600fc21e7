"""The warehouse reads every row of a date, however the table is partitioned."""

from __future__ import annotations

import pytest

from services.core.tables import PREDICTIONS_TABLE
from services.pipeline.warehouse import BigQueryWarehouse
from tests.integration.pipeline.conftest import NIGHT


@pytest.mark.parametrize(
    ("partitioning", "listed"),
    [
        ("", "copied"),
        ("PARTITION BY game_date", "copied$20251229"),
        ("PARTITION BY DATE_TRUNC(game_date, MONTH)", "copied"),
        ("PARTITION BY DATE(created_at)", "copied"),
    ],
)
def test_the_keys_of_a_date_are_read_whole_however_the_table_is_partitioned(
    module_clients, monkeypatch, partitioning, listed
):
    module_clients.bigquery.query(
        f"CREATE OR REPLACE TABLE nba_predictions.copied {partitioning} AS"
        f" SELECT * FROM {PREDICTIONS_TABLE} WHERE game_date >= '2025-12-28'",
        job_retry=None,
    ).result()
    sources, list_rows = [], module_clients.bigquery.list_rows

    def note_source(source, **options):
        sources.append(source.table_id)
        return list_rows(source, **options)

    monkeypatch.setattr(module_clients.bigquery, "list_rows", note_source)
    rows = list(BigQueryWarehouse(module_clients).read_rows("nba_predictions.copied", NIGHT))
    assert len(rows) == 1_700
    assert sources == [listed], "BigQuery knows $20251229 only of a table partitioned by the days of its game_date"
