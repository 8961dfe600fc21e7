"""The staging writer against BigQuery's own answers: staged once, verified, or refused before anything is sent."""

from __future__ import annotations

import pytest

from services.batches.ids import make_batch_id, work_unit_id
from services.pipeline.row_encoding import SchemaMismatch
from services.pipeline.worker.staging_writer import StagingWriter
from tests.integration.pipeline.conftest import NIGHT, make_predictions


def test_a_unit_delivered_twice_is_staged_once(warehouse, fresh_clients):
    batch, rows = make_batch_id(NIGHT, fresh_clients.now()), make_predictions(fresh_clients)
    first, second = (StagingWriter(warehouse).write(batch, work_unit_id("herbertjones"), rows) for _ in range(2))
    assert (first.verified_rows, first.job_id) == (25, second.job_id)
    assert first.table == second.table
    assert fresh_clients.bigquery.get_table(first.table).num_rows == 25


def test_an_unknown_field_is_refused_by_name_before_anything_is_written(warehouse, fresh_clients):
    rows = [{**row, "vegas_line_source": "none"} for row in make_predictions(fresh_clients)]
    with pytest.raises(SchemaMismatch, match="vegas_line_source"):
        StagingWriter(warehouse).write("batch_2025-12-29_5", work_unit_id("x"), rows)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_non_finite_number_is_refused_with_its_field(warehouse, fresh_clients, bad):
    rows = [{**row, "feature_quality_score": bad} for row in make_predictions(fresh_clients)]
    with pytest.raises(SchemaMismatch, match="feature_quality_score"):
        StagingWriter(warehouse).write("batch_2025-12-29_5", work_unit_id("x"), rows)
