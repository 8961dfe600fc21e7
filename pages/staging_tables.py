"""Staging tables: what did runs leave behind, what is safe, and what still holds rows nobody else has?"""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, widgets
from app.components import text_format as words
from app.panels import repair_buttons as repairs
from app.state import reads, session
from services.staging.inventory import Inventory, StagingTable, TableClass

cloud = session.cloud()
now = cloud.now()


def headline(inventory: Inventory) -> str:
    """What is at stake first: rows that are in no other place."""
    tables = inventory.tables
    if not tables:
        return "No staging table is left behind"
    if unproven := sum(table.unmerged_rows is None for table in tables):
        return f"Whether the rows of {unproven:,} of {len(tables):,} staging tables are safe is unknown"
    holding = [table.unmerged_rows for table in tables if table.unmerged_rows]
    if not holding:
        return f"{len(tables):,} staging tables, and every row of them is in the predictions table"
    return (
        f"{sum(holding):,} rows in {len(holding):,} of {len(tables):,} staging tables are not in the predictions table"
    )


def by_class(inventory: Inventory) -> str:
    counts = Counter(table.table_class for table in inventory.tables)
    return "; ".join(f"{counts[each]:,} {each}" for each in TableClass if counts[each])


def batches(inventory: Inventory) -> None:
    st.subheader("By batch", anchor=False)
    tables.listing(
        [
            {
                "batch": batch.batch_id,
                "game date": str(batch.game_date or "unknown"),
                "class": batch.table_class,
                "tables": batch.tables,
                "rows": words.count(batch.rows),
                "not in predictions": words.count(batch.unmerged_rows),
                "size": words.size(batch.size_bytes),
                "oldest": words.age(batch.oldest, now),
            }
            for batch in inventory.batches
        ],
        alt="Staging tables by batch",
        empty="No batch has left a staging table.",
    )


def filtered(tables: tuple[StagingTable, ...]) -> list[StagingTable]:
    found = Counter(table.table_class.value for table in tables)
    counts = {each.value: found[each.value] for each in TableClass if found[each.value]}
    chosen = filters.pills("Class", counts, "staging_kind")
    left = [table for table in tables if not chosen or table.table_class.value in chosen]
    return sorted(left, key=lambda table: list(TableClass).index(table.table_class))


def every_table(inventory: Inventory) -> None:
    st.subheader("Every table", anchor=False)
    tables.table(
        [
            {
                "class": table.table_class.value,
                "worker": table.worker,
                "game date": table.game_date,
                "rows": table.rows,
                "not in predictions": table.unmerged_rows,
                "age": words.age(table.created, now),
                "KiB": table.size_bytes / 1024 if table.size_bytes is not None else None,
                "created": table.created,
                "batch": table.batch_id,
                "table": table.table.rpartition(".")[2],
            }
            for table in filtered(inventory.tables)
        ],
        name="staging-tables",
        alt="Staging tables",
        empty="No staging table matches.",
        height_rows=18,
        KiB=st.column_config.NumberColumn(format="%.1f"),
    )


def show(inventory: Inventory) -> None:
    widgets.verdict(inventory.health, headline(inventory), [by_class(inventory), "of every night"])
    widgets.gaps(inventory.problems)
    if inventory.tables:
        batches(inventory)
        repairs.of_staging(inventory)
        every_table(inventory)
    widgets.footer(inventory.sources, now, session.log("Consolidation"))


inventory = widgets.known(reads.staging(cloud), "The staging tables")
if inventory is not None:
    show(inventory)
