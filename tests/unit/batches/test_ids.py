"""Ids of batches, units, staging tables and jobs: deterministic, distinct, readable back."""

from __future__ import annotations

from datetime import date

import pytest

from services.batches.ids import (
    find_batch_ids,
    is_unit_table,
    make_batch_id,
    parse_batch_date,
    parse_staging_table_name,
    read_batch_date,
    staging_prefix,
)
from tests.support.factories import NIGHT, NOW

REVISION = "prediction_worker_00035_4xk_0a49f283"
BATCHES_BY_TABLE = {
    f"_staging_batch_2026_01_16_1768529790_{REVISION}": ("batch_2026-01-16_1768529790", date(2026, 1, 16)),
    "_staging_batch_2025_12_29_1767037671000_p_lebronjames": ("batch_2025-12-29_1767037671000", NIGHT),
    "_staging_batch_2025_12_29_1767037671000_compact_3": ("batch_2025-12-29_1767037671000", NIGHT),
    f"_staging_regen_2025_12_29_feature_fix_2_1767037671_{REVISION}": (
        "regen_2025-12-29_feature_fix_2_1767037671",
        NIGHT,
    ),
    f"_staging_linecheck_2025_12_29_1767037671_{REVISION}": ("linecheck_2025-12-29_1767037671", NIGHT),
    f"_staging_fallback_1767080000123_{REVISION}": ("fallback_1767080000123", None),
    "_staging_20251230_064955_123456_worker_0a49f283": ("20251230_064955_123456", None),
    f"_staging_by_hand_{REVISION}": ("by_hand", None),
}


@pytest.mark.parametrize("table", BATCHES_BY_TABLE)
def test_batch_and_date_are_parsed_from_a_staging_table_name_without_the_revision(table):
    batch_id, worker, game_date = parse_staging_table_name(table)
    assert (batch_id, game_date) == BATCHES_BY_TABLE[table]
    assert f"{staging_prefix(batch_id)}{worker}" == table


@pytest.mark.parametrize("table", [name for name in BATCHES_BY_TABLE if "compact" not in name])
def test_a_unit_table_belongs_to_its_own_batch_alone(table):
    batch_id = BATCHES_BY_TABLE[table][0]
    assert is_unit_table(table, batch_id)
    assert not is_unit_table(table, batch_id[:-1])
    assert not is_unit_table(f"_staging_{batch_id}_7_{REVISION}".replace("-", "_"), batch_id)


def test_a_date_is_read_from_a_batch_id_and_from_nothing_else():
    assert parse_batch_date(make_batch_id(NIGHT, NOW)) == NIGHT
    assert read_batch_date("regen_2025-12-29_fix_1767037671") == NIGHT
    with pytest.raises(ValueError, match="not a batch id with a game date"):
        parse_batch_date("fallback_1767080000123")
    for text in ("batch_2025-13-29_1767037671", f"batch_2025-12-29_1767037671_{REVISION}", "_staging_x", ""):
        with pytest.raises(ValueError, match="is not a batch id"):
            parse_batch_date(text)


def test_the_batch_ids_of_a_log_line_are_found_in_words_and_in_table_names():
    line = (
        "Staging write complete: 25 rows to nba-props-platform.nba_predictions._staging_batch_2025_12_30_1767080000"
        f"_{REVISION} in 1447.5ms (batch=batch_2025-12-30_1767080000, worker=prediction-worker-00035-4xk_0a49f283)"
    )
    assert find_batch_ids(line) == ["batch_2025-12-30_1767080000"]
    assert find_batch_ids("No batch_id provided, using fallback: fallback_1767080000123") == ["fallback_1767080000123"]
    assert find_batch_ids("Batch regen_2025-12-29_fix_1767037671 complete! 20251230_064955") == [
        "regen_2025-12-29_fix_1767037671"
    ]
    assert find_batch_ids("Consolidation SUCCESS: 3950 rows merged from 158 staging tables, cleaned=152") == []
