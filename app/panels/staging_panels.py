"""The staging tables by batch, each with the way to its batch, and one by one."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.components import text_format
from app.components.html_table import Cell, Column, Link, Mark, show_table
from app.state import session
from services.core.console_links import table_url
from services.staging.inventory import HEALTH_BY_TABLE_STATE, BatchTotal, StagingInventory, StagingTable

_BATCH_COLUMNS = (
    Column("Batch"),
    Column("Game date", minor=True),
    Column("Status"),
    *(
        Column(head, numeric=True, minor=head != "Unmerged rows")
        for head in ("Tables", "Players", "Rows", "Unmerged rows")
    ),
    *(Column(head, numeric=True, minor=True) for head in ("Size", "Oldest")),
)


def batch_table(inventory: StagingInventory, now: datetime) -> None:
    """A row a batch; its name leads to the batch's page where it has one."""
    st.subheader("By batch", anchor=False)
    rows = [
        (
            _batch_link(batch),
            str(batch.game_date or "unknown"),
            Mark(batch.state, HEALTH_BY_TABLE_STATE[batch.state]),
            batch.tables,
            text_format.count_or_unknown(batch.players),
            text_format.count_or_unknown(batch.rows),
            text_format.count_or_unknown(batch.unmerged_rows),
            text_format.format_bytes(batch.size_bytes),
            text_format.format_age(batch.oldest, now),
        )
        for batch in inventory.batches
    ]
    show_table(_BATCH_COLUMNS, rows, alt="Staging tables by batch", empty="No batch has left a staging table.")


def _batch_link(batch: BatchTotal) -> Cell:
    if batch.game_date is None:
        return batch.batch_id
    return Link(batch.batch_id, "runs", {"date": batch.game_date.isoformat(), "batch": batch.batch_id})


def to_table_row(table: StagingTable) -> dict[str, object]:
    """One table; without its age, which would send the unchanged table again at every refresh."""
    url = table_url(session.cached_clients().settings, table.table)
    return {
        "status": table.state.value,
        "worker": table.worker,
        "game date": table.game_date,
        "players": len(table.players) if table.players is not None else None,
        "rows": table.rows,
        "unmerged rows": table.unmerged_rows,
        "KiB": table.size_bytes / 1024 if table.size_bytes is not None else None,
        "created": table.created,
        "batch": table.batch_id,
        "table": table.table.rpartition(".")[2],
        "player names": ", ".join(table.players or ()),
        **({"console": url} if url else {}),
    }
