"""Ids of batches, units, staging tables and jobs: deterministic, distinct, readable back."""

from __future__ import annotations

from services.batches.ids import parse_staging_table_name


def test_batch_worker_and_date_are_parsed_from_a_staging_table_name():
    parsed = parse_staging_table_name("_staging_batch_2026_01_16_1768529790_prediction_worker_00035_4xk_0a49f283")
    assert parsed[:2] == ("batch_2026-01-16_1768529790", "prediction_worker_00035_4xk_0a49f283")
    assert parse_staging_table_name("_staging_fallback_1768529790_abc")[2] is None
