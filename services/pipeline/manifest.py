"""Which tables a consolidation copies, and the rows that each must give it.

Of a table that one load job wrote (ids.load_table) a worker has answered how many rows it holds, and nothing changes them. Any other
table is looked at: those of the customer's workers, and those whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.batches.ids import is_unit_table, staging_prefix, unit_table
from services.core.errors import OnCallError
from services.pipeline.warehouse import StagingTableInfo, Warehouse

Manifest = Sequence[StagingTableInfo]


class NothingStaged(OnCallError):
    """The batch has no staging table, so there is nothing to consolidate."""


class EmptyStaging(OnCallError):
    """The batch's staging tables hold no rows: something produced nothing."""


class SchemaDrift(OnCallError):
    """Staging tables of one batch differ in their columns."""


class StreamingBuffer(OnCallError):
    """Rows of a staging table are still in its streaming buffer, where no copy and no count has them."""


def build_manifest(warehouse: Warehouse, batch_id: str, verified_rows: Mapping[str, int]) -> Manifest:
    """Every unit table of a batch that is listed now; `verified_rows` are those of tables that workers have answered for."""
    units = list_units(warehouse, batch_id)
    known = {table: verified_rows[table] for table in units if unit_table(table) and verified_rows.get(table)}
    if len(known) == len(units) > 0:
        return [StagingTableInfo(table, rows) for table, rows in known.items()]
    described = describe_units(
        warehouse, batch_id, [table for table in units if table not in known], sum(known.values())
    )
    return [*(StagingTableInfo(table, rows) for table, rows in known.items()), *described]


def list_units(warehouse: Warehouse, batch_id: str) -> list[str]:
    """dataset.table of the batch's staging tables that are there now."""
    return [t for t in warehouse.list_staging_tables(staging_prefix(batch_id)) if is_unit_table(t, batch_id)]


def count_table_rows(tables: Manifest) -> int:
    """Rows of all of them."""
    return sum(table.rows for table in tables)


def describe_units(warehouse: Warehouse, batch_id: str, names: Sequence[str], other_rows: int = 0) -> Manifest:
    """The tables as BigQuery describes them; raises when they cannot be copied whole. `other_rows`: of the batch's other tables."""
    units = warehouse.describe_tables(names)
    count, rows = len(units), count_table_rows(units)
    if not units and not other_rows:
        raise NothingStaged(f"{batch_id} has no staging table, so there is nothing to consolidate.")
    if streaming := [table.table for table in units if table.streaming]:
        raise StreamingBuffer(
            f"{len(streaming)} of {count} staging tables of {batch_id} have rows in a streaming buffer"
            f" ({', '.join(streaming[:3])}); all are kept.",
            "Consolidate again when the buffer is written, after 90 minutes at the latest.",
        )
    if not rows and not other_rows:
        raise EmptyStaging(
            f"The {count} staging tables of {batch_id} hold no rows; they are kept.",
            "Look at the workers' logs.",
        )
    drifted = [table for table in units if table.columns != units[0].columns]
    if drifted:
        raise SchemaDrift(
            f"{len(drifted)} of {count} staging tables of {batch_id}, with {sum(table.rows for table in drifted)} of"
            f" {rows} rows, have other columns than {units[0].table}"
            f" ({_describe_schema_difference(units[0], drifted[0])}); all are kept.",
            "Re-run the players of the drifted tables with one worker revision.",
        )
    return units


def _describe_schema_difference(expected: StagingTableInfo, actual: StagingTableInfo) -> str:
    differing = sorted({name for name, _ in set(expected.columns) ^ set(actual.columns)})
    return f"differing in {', '.join(differing)}" if differing else "in another order"
