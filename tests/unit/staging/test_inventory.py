"""A staging table is called merged only on proof."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.staging.inventory import StagingTable, StagingTableState, classify, mark_copies, totals_by_batch


@pytest.mark.parametrize(
    ("unmerged", "old", "runs", "what"),
    [
        (0, True, False, StagingTableState.MERGED),
        (3, True, False, StagingTableState.ORPHAN),
        (3, False, False, StagingTableState.WAITING),
        (None, True, False, StagingTableState.UNKNOWN),
        (0, False, True, StagingTableState.RUNNING),
    ],
)
def test_a_staging_table_is_merged_only_with_proof(unmerged, old, runs, what):
    assert classify(unmerged, old, runs) is what


def make_table(worker):
    batch, at = "batch_2025-12-31_1767132000", datetime(2025, 12, 31, tzinfo=UTC)
    name = f"nba_predictions._staging_{batch.replace('-', '_')}_{worker}"
    return StagingTable(name, batch, worker, at.date(), 25, 100, at, None, 25, StagingTableState.WAITING)


def test_rows_that_a_failed_consolidation_has_copied_together_are_counted_once():
    units = [make_table(f"prediction_worker_00011_zw5_0a49f28{n}") for n in range(2)]
    [total] = totals_by_batch(mark_copies([make_table("compact_1"), *units]))
    assert (total.tables, total.rows, total.unmerged_rows) == (3, 50, 50)
    [alone] = totals_by_batch(mark_copies([make_table("compact_1")]))
    assert (alone.rows, alone.unmerged_rows) == (25, 25)
