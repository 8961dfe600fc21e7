"""Which button helps where: beside the gap that is seen, with what it is about already filled in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.actions import dialog as actions
from app.components import tables, widgets
from app.components import text_format as words
from app.state import reads, session
from services.batches.ids import parse_name
from services.nights.missing_players import Missing, Why, missing
from services.nights.player_stages import Night
from services.runs.actions import START
from services.runs.plan import NOT_BY_A_RUN
from services.scaling.actions import NARROW, RESTORE, SET
from services.scaling.worker_width import CAP_INSTANCES, CAP_REQUESTS, EMERGENCY, WorkerWidth, what_if
from services.staging.consolidate import CONSOLIDATE
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.inventory import BatchTotal, Inventory, StagingTable

OFFERED = 3  # batches with a button of their own; a season leaves a dozen
_STAYS = "Until somebody restores it"
_LASTS = {_STAYS: None, "For 1 hour": timedelta(hours=1), "For 3 hours": timedelta(hours=3)}


def of_night(night: Night, chosen: Sequence[Missing] | None = None) -> None:
    """The repair of a night: run what a run repairs, consolidate what only waits in staging."""
    date = night.game_date.isoformat()
    lost = [m for m in (missing(night) if chosen is None else chosen) if m.why not in NOT_BY_A_RUN]
    waiting = sorted({_batch(m) for m in missing(night) if m.why is Why.NOT_CONSOLIDATED} - {""})
    for batch in waiting:
        actions.offer(CONSOLIDATE, "Consolidate the waiting rows", key=batch, primary=True, batch_id=batch)
    if night.ran is False and lost:
        actions.offer(START, f"Start the run: {words.many(len(lost), 'player')}", primary=True, game_date=date)
    elif lost:
        only: dict[str, Any] = {} if chosen is None else {"players": [m.player.player_lookup for m in lost]}
        label = f"Re-run {words.many(len(lost), 'lost player')}"
        actions.offer(START, label, primary=not waiting, game_date=date, **only)


def _batch(lost: Missing) -> str:
    name = lost.player.staging_table.rpartition(".")[2]
    return parse_name(name)[0] if name else ""


def of_staging(inventory: Inventory) -> None:
    """Consolidate the batches that hold rows of their own, the fullest first; drop what is merged; drop one table knowingly."""
    merged = [_name(table) for table in inventory.tables if table.unmerged_rows == 0]
    holding = [batch for batch in inventory.batches if batch.unmerged_rows != 0]
    fullest = [batch.batch_id for batch in sorted(holding, key=_at_stake, reverse=True)]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for batch in fullest[:OFFERED]:
            primary = batch == fullest[0]
            actions.offer(CONSOLIDATE, f"Consolidate {batch}", key=batch, primary=primary, batch_id=batch)
        if merged:
            actions.offer(DROP_MERGED, f"Drop {words.many(len(merged), 'merged table')}", key="all", tables=merged)
    if rest := fullest[OFFERED:]:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = f"{words.many(len(rest), 'more batch', 'more batches')} to consolidate"
            other = st.selectbox(label, rest, key="batch to consolidate", index=None, placeholder="Choose a batch")
            if other:
                actions.offer(CONSOLIDATE, "Consolidate this batch", key="one", batch_id=other)
    with (
        st.expander("Drop one table knowing what it holds"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.selectbox("Table", [_name(table) for table in inventory.tables], key="table to drop", index=None)
        if name:
            actions.offer(DROP_ORPHAN, "Drop this table", key="one", tables=[name])


def _at_stake(batch: BatchTotal) -> float:
    """How many rows may be nowhere else: all of a batch that is not proven, whose number may itself be unknown."""
    rows = batch.rows if batch.unmerged_rows is None else batch.unmerged_rows
    return float("inf") if rows is None else rows


def _name(table: StagingTable) -> str:
    return table.table.rpartition(".")[2]


def of_width() -> None:
    """Narrow, restore, or set the worker's width; what is noted on it; what a width would mean."""
    width = widgets.known(reads.worker(session.cloud()), "What is noted on the worker")
    if width is None:
        return
    _noted(width)
    lasts = st.segmented_control(
        "A narrowing lasts", list(_LASTS), default=_STAYS, required=True, key="narrow_lasts", bind="query-params"
    )
    revert = _LASTS[lasts or _STAYS]
    until = {"revert_at": (_minute() + revert).isoformat()} if revert else {}
    with st.container(horizontal=True, gap="small"):
        narrow = (width.actual.instances, width.actual.requests) == EMERGENCY
        actions.offer(NARROW, "Emergency: narrow to 4 × 3", primary=not narrow, **until)
        actions.offer(RESTORE, "Restore the normal width")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        instances = st.number_input(
            "Instances", 1, CAP_INSTANCES, width.actual.instances or 4, key="set instances", width=110
        )
        requests = st.number_input(
            "Requests each", 1, CAP_REQUESTS, width.actual.requests, key="set requests", width=110
        )
        actions.offer(
            SET, f"Set {instances} × {requests}", key="form", instances=int(instances), requests=int(requests)
        )
        st.markdown(
            f":material/calculate: {words.plain(what_if(int(instances), int(requests)).sentence)}", width="stretch"
        )


def _minute() -> datetime:
    """Now, to the minute: the plan stays the same plan while it is looked at."""
    return session.now().replace(second=0, microsecond=0)


def _noted(width: WorkerWidth) -> None:
    """Actual beside desired beside configured, and a drift where somebody's setting did not last."""
    instances, requests = width.configured
    desired = f"{width.noted.set_to} by {width.noted.set_by}" if width.noted.set_to else "not set by this desk"
    normal = str(width.noted.normal) if width.noted.normal else "none noted"
    reverts = words.clock_time(width.noted.revert_at) if width.noted.revert_at else "no"
    tables.listing(
        [
            {
                "actual": str(width.actual),
                "desired": desired,
                "configured": f"{instances} × {requests}",
                "normal, noted on the service": normal,
                "reverts by itself": reverts,
            }
        ],
        alt="Actual, desired and configured width of the worker",
        empty="",
    )
    if width.drift:
        st.warning(words.plain(width.drift), icon=":material/trending_flat:")
