"""The customer's tables as the API creates them."""

from __future__ import annotations

from services.core.tables import PREDICTIONS_TABLE_NAME
from services.sandbox.scenarios.customer.tables import table_resources

TABLES = {resource["tableReference"]["tableId"]: resource for resource in table_resources()}


def test_the_predictions_table_is_theirs_unpartitioned_with_its_types():
    table = TABLES[PREDICTIONS_TABLE_NAME]
    fields = {field["name"]: (field["type"], field["mode"]) for field in table["schema"]["fields"]}
    assert len(fields) == 106
    assert "timePartitioning" not in table
    assert "clustering" not in table
    assert fields["data_quality_issues"] == ("STRING", "REPEATED")
    assert fields["default_feature_indices"] == ("INT64", "REPEATED")
    assert fields["features_snapshot"] == ("JSON", "NULLABLE")
    assert fields["current_points_line"] == ("FLOAT64", "NULLABLE")
    assert fields["is_active"] == ("BOOL", "REQUIRED")


def test_the_worker_runs_are_partitioned_by_the_day_of_the_run_and_need_a_filter():
    table = TABLES["prediction_worker_runs"]
    assert table["timePartitioning"] == {"type": "DAY", "field": "run_date"}
    assert table["requirePartitionFilter"] is True
    assert table["clustering"] == {"fields": ["player_lookup", "success", "game_date"]}
