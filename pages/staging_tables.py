"""Staging tables: what did runs leave behind, what is safe to drop, and what holds rows that exist nowhere else?"""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.components import filters, tables, text_format, widgets
from app.panels import repair_buttons
from app.state import reads, session
from services.core.result import list_outdated
from services.staging.inventory import StagingInventory, StagingTable, StagingTableState

MAX_SHOWN_TABLES = 40  # of a season's two thousand; search finds the others
cloud = session.cached_clients()
now = cloud.now()


def headline(inventory: StagingInventory) -> str:
    """The verdict: first the rows that exist nowhere else."""
    staging_tables = [table for table in inventory.tables if not table.is_copy]
    if not staging_tables:
        return "No staging table is left behind"
    if unverified := sum(table.unmerged_rows is None for table in staging_tables):
        return f"Whether the rows of {unverified:,} of {len(staging_tables):,} staging tables are safe is unknown"
    unmerged_counts = [table.unmerged_rows for table in staging_tables if table.unmerged_rows]
    if not unmerged_counts:
        return f"{len(staging_tables):,} staging tables, and every row of them is in the predictions table"
    return (
        f"{sum(unmerged_counts):,} rows in {len(unmerged_counts):,} of {len(staging_tables):,} staging tables"
        " are not in the predictions table"
    )


def counts_by_state(inventory: StagingInventory) -> str:
    counts = Counter(table.state for table in inventory.tables)
    return "; ".join(f"{counts[state]:,} {state}" for state in StagingTableState if counts[state])


def batch_table(inventory: StagingInventory) -> None:
    st.subheader("By batch", anchor=False)
    tables.text_table(
        [
            {
                "batch": batch.batch_id,
                "game date": str(batch.game_date or "unknown"),
                "class": batch.state,
                "tables": batch.tables,
                "players": text_format.count_or_unknown(batch.players),
                "rows": text_format.count_or_unknown(batch.rows),
                "not in predictions": text_format.count_or_unknown(batch.unmerged_rows),
                "size": text_format.format_bytes(batch.size_bytes),
                "oldest": text_format.format_age(batch.oldest, now),
            }
            for batch in inventory.batches
        ],
        alt="Staging tables by batch",
        empty="No batch has left a staging table.",
    )


def to_table_row(table: StagingTable) -> dict[str, object]:
    """One table; without its age, which would send the unchanged table again at every refresh."""
    return {
        "class": table.state.value,
        "worker": table.worker,
        "game date": table.game_date,
        "players": len(table.players) if table.players is not None else None,
        "rows": table.rows,
        "not in predictions": table.unmerged_rows,
        "KiB": table.size_bytes / 1024 if table.size_bytes is not None else None,
        "created": table.created,
        "batch": table.batch_id,
        "table": table.table.rpartition(".")[2],
        "names of the players": ", ".join(table.players or ()),
    }


def filter_tables(staging_tables: tuple[StagingTable, ...]) -> list[StagingTable]:
    """The tables that match the filters, the worst first."""
    table_counts = Counter(table.state.value for table in staging_tables)
    counts = {state.value: table_counts[state.value] for state in StagingTableState if table_counts[state.value]}
    kinds, terms = filters.filter_bar("Class", counts, "Table, player, date…", "staging")
    remaining = [t for t in staging_tables if not kinds or t.state.value in kinds]
    remaining = [t for t in remaining if not terms or filters.matches_search(to_table_row(t), terms)]
    return sorted(remaining, key=lambda table: list(StagingTableState).index(table.state))


def table_grid(inventory: StagingInventory) -> None:
    st.subheader("Every table", anchor=False)
    staging_tables = filter_tables(inventory.tables)
    tables.data_grid(
        staging_tables,
        "staging-tables",
        "Staging tables",
        "No staging table matches.",
        height_rows=18,
        max_rows=MAX_SHOWN_TABLES,
        to_row=to_table_row,
        KiB=st.column_config.NumberColumn(format="%.1f"),
    )
    repair_buttons.drop_one_table(staging_tables[:MAX_SHOWN_TABLES])


def render(inventory: StagingInventory) -> None:
    details = (counts_by_state(inventory), "of every night")
    widgets.verdict(inventory.health, headline(inventory), details, list_outdated((reading,)))
    widgets.render_problems(inventory.problems)
    if inventory.tables:
        batch_table(inventory)
        repair_buttons.staging_buttons(inventory)
        table_grid(inventory)
    widgets.source_footer(inventory.sources, session.log_link_params("Consolidation"))


reading = reads.staging(cloud)
inventory = widgets.value_or_notice(reading, "The staging tables")
if inventory is not None:
    render(inventory)
