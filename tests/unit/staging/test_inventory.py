"""A staging table is called merged only on proof."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.batches.ids import staging_table
from services.core.tables import PREDICTIONS_TABLE
from services.staging.inventory import (
    StagingTable,
    StagingTableState,
    classify,
    mark_copies,
    read_inventory,
    totals_by_batch,
)
from tests.faults.seeds import FIELDS, make_row
from tests.support.memory_bigquery import MemoryProject
from tests.support.memory_clients import SimulatedClock, in_memory, memory_clients


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


BATCH = "batch_2025-12-31_1767132000"


@pytest.fixture
def in_memory_tables():
    """A table of two players, one without rows and one without a column of the key."""
    clock = SimulatedClock()
    project = MemoryProject(clock)
    for unit, fields in (("p_ann_1a2b3c4d", FIELDS), ("p_empty", FIELDS), ("p_odd", FIELDS[:1])):
        project.create_table(staging_table(BATCH, unit), fields)
    rows = [{**make_row(player, "one", None, Decimal(1), project.clock.now())} for player in ("bob", "ann", "ann")]
    project.insert(staging_table(BATCH, "p_ann_1a2b3c4d"), rows)
    project.insert(staging_table(BATCH, "p_odd"), [{"prediction_id": "x"}])
    with in_memory(clock, {}):
        yield memory_clients(project)
    project.close()


def make_table(worker, players=()):
    batch, at = BATCH, datetime(2025, 12, 31, tzinfo=UTC)
    name = f"nba_predictions._staging_{batch.replace('-', '_')}_{worker}"
    return StagingTable(name, batch, worker, at.date(), 25, 100, at, None, 25, StagingTableState.WAITING, players)


def test_rows_that_a_failed_consolidation_has_copied_together_are_counted_once():
    units = [make_table(f"prediction_worker_00011_zw5_0a49f28{n}") for n in range(2)]
    [total] = totals_by_batch(mark_copies([make_table("compact_1"), *units]))
    assert (total.tables, total.rows, total.unmerged_rows) == (3, 50, 50)
    [alone] = totals_by_batch(mark_copies([make_table("compact_1")]))
    assert (alone.rows, alone.unmerged_rows) == (25, 25)


def test_the_players_of_a_batch_are_counted_once_whatever_groups_they_are_in():
    tables = [make_table("p_ann_1a2b3c4d", ("ann", "bob")), make_table("p_bob", ("bob",))]
    assert [total.players for total in totals_by_batch(tables)] == [2]
    assert [total.players for total in totals_by_batch([*tables, make_table("p_cid", None)])] == [None]


def test_the_players_of_a_table_are_those_of_its_rows(in_memory_tables):
    """Of a table whose rows cannot be read they are unknown, not none."""
    by_worker = {table.worker: table.players for table in read_inventory(in_memory_tables).tables}
    assert by_worker == {"p_ann_1a2b3c4d": ("ann", "bob"), "p_empty": (), "p_odd": None}


def test_without_a_line_in_the_predictions_table_no_row_is_called_merged_or_unmerged():
    clock = SimulatedClock()
    project = MemoryProject(clock)
    project.create_table(staging_table(BATCH, "p_ann"), FIELDS)
    row = make_row("ann", "one", None, Decimal(1), project.clock.now())
    project.insert(staging_table(BATCH, "p_ann"), [row])
    predictions = project.tables[PREDICTIONS_TABLE]
    fields = [field for field in predictions.fields if field.name != "current_points_line"]
    project.create_table(PREDICTIONS_TABLE, fields, predictions.partition_field)
    with in_memory(clock, {}):
        inventory = read_inventory(memory_clients(project))
    project.close()
    assert [table.unmerged_rows for table in inventory.tables] == [None]
    assert "has no column current_points_line" in inventory.problems[0].message
