"""A staging table is called merged only on proof."""

from __future__ import annotations

import pytest

from services.staging.inventory import StagingTableState, classify


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
