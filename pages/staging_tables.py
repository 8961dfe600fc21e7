"""Staging tables: what did runs leave behind, what is safe to drop, and what holds rows that exist nowhere else?"""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.actions import action_feed
from app.components import filters, tables, text_format, widgets
from app.panels import repair_buttons, staging_panels, undo_buttons
from app.state import reads, session
from services.core.result import list_outdated
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.inventory import (
    StagingInventory,
    StagingTable,
    StagingTableState,
)
from services.staging.remove_duplicates import REMOVE_DUPLICATES

MAX_SHOWN_TABLES = 36  # of a season's two thousand; search finds the others
UNDOABLE = (DROP_MERGED.name, DROP_ORPHAN.name, REMOVE_DUPLICATES.name)
cloud = session.cached_clients()
now = cloud.now()


def headline(inventory: StagingInventory) -> str:
    """The verdict: first the rows that exist nowhere else."""
    staging_tables = [table for table in inventory.tables if not table.is_copy]
    if not staging_tables:
        return "No leftover staging tables"
    if unverified := sum(table.unmerged_rows is None for table in staging_tables):
        return f"{unverified:,} of {text_format.pluralize(len(staging_tables), 'staging table')} not verified"
    unmerged_counts = [table.unmerged_rows for table in staging_tables if table.unmerged_rows]
    if not unmerged_counts:
        return f"{text_format.pluralize(len(staging_tables), 'staging table')}, all rows already merged"
    rows, total = text_format.pluralize(sum(unmerged_counts), "unmerged row"), len(staging_tables)
    return f"{rows} in {len(unmerged_counts):,} of {text_format.pluralize(total, 'staging table')}"


def counts_by_state(inventory: StagingInventory) -> str:
    counts = Counter(table.state for table in inventory.tables)
    return "; ".join(f"{counts[state]:,} {state}" for state in StagingTableState if counts[state])


def filter_tables(staging_tables: tuple[StagingTable, ...]) -> list[StagingTable]:
    """The tables that match the filters, the worst first."""
    table_counts = Counter(table.state.value for table in staging_tables)
    counts = {state.value: table_counts[state.value] for state in StagingTableState if table_counts[state.value]}
    kinds, terms = filters.filter_bar("Status", counts, "Table, player, date…", "staging")
    remaining = [t for t in staging_tables if not kinds or t.state.value in kinds]
    remaining = [t for t in remaining if not terms or filters.matches_search(staging_panels.to_table_row(t), terms)]
    return sorted(remaining, key=lambda table: list(StagingTableState).index(table.state))


def table_grid(inventory: StagingInventory) -> None:
    st.subheader("All tables", anchor=False)
    staging_tables = filter_tables(inventory.tables)
    tables.data_grid(
        staging_tables,
        "staging-tables",
        "Staging tables",
        "No matches.",
        height_rows=18,
        max_rows=MAX_SHOWN_TABLES,
        to_row=staging_panels.to_table_row,
        KiB=st.column_config.NumberColumn(format="%.1f"),
        console=st.column_config.LinkColumn(display_text="open"),
    )
    repair_buttons.drop_one_table(staging_tables[:MAX_SHOWN_TABLES])


def render(inventory: StagingInventory) -> None:
    details = (counts_by_state(inventory), "all game dates")
    widgets.verdict(inventory.health, headline(inventory), details, list_outdated((reading,)))
    widgets.render_problems(inventory.problems)
    if inventory.tables:
        staging_panels.batch_table(inventory, now)
        repair_buttons.staging_buttons(inventory)
    undo_buttons.undo_lines(wait_for_log().value, UNDOABLE)
    if inventory.tables:
        table_grid(inventory)
    widgets.source_footer(inventory.sources, session.log_link_params("Consolidation"))


wait_for_log = action_feed.fetch_log_async()
reading = reads.staging(cloud)
inventory = widgets.value_or_notice(reading, "The staging tables")
if inventory is not None:
    render(inventory)
