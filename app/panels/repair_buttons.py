"""The action buttons of a page, each beside the problem it repairs, with its arguments filled in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from app.actions import dialog
from app.components import tables, text_format, widgets
from app.components.number_field import whole_number_field
from app.state import reads, session
from services.batches.ids import parse_staging_table_name
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Repair
from services.nights.missing_players import LossReason, MissingPlayer, list_missing_players
from services.nights.player_stages import NightStatus
from services.nights.row_counts import RowCounts, count_rows
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.plan import describe_selected
from services.runs.run_context import NOT_REPAIRABLE_BY_RUN, list_repairable
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN, SET_CAPACITY
from services.scaling.annotations import format_capacity
from services.scaling.capacity import MAX_CONCURRENCY, MAX_INSTANCES, WorkerCapacity
from services.scaling.contention import simulate_contention
from services.scaling.move_traffic import MOVE_TRAFFIC
from services.scaling.plan import emergency_capacity
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.inventory import BatchTotal, StagingInventory, StagingTable
from services.staging.remove_duplicates import REMOVE_DUPLICATES

MAX_BUTTONS = 3  # batches with a button of their own; over a season there may be a dozen
_PERMANENT = "Until somebody restores it"
_DURATIONS = {_PERMANENT: None, "For 1 hour": timedelta(hours=1), "For 3 hours": timedelta(hours=3)}


def judgement_buttons(facts: NightFacts, judgement: NightJudgement) -> None:
    """The buttons that repair what the judgement found, first and primary that of its headline."""
    night, batch = facts.night.value, facts.newest_batch
    for index, repair in enumerate(judgement.repairs):
        primary = index == 0
        if repair is Repair.RESUME and batch is not None:
            batch_id = batch.batch_id
            dialog.action_button(RESUME_BATCH, f"Resume {batch_id}", key=batch_id, primary=primary, batch_id=batch_id)
        elif repair is Repair.REMOVE_DUPLICATES:
            dialog.action_button(REMOVE_DUPLICATES, primary=primary, game_date=facts.game_date.isoformat())
        elif repair is Repair.CONSOLIDATE and night is not None:
            _consolidate_buttons(_unmerged_batches(night), primary)
        elif night is not None:
            counts = count_rows(night, facts.usual.value, session.cached_clients().settings)
            _run_button(night, counts, None, primary)


def night_buttons(night: NightStatus, counts: RowCounts, selected: Sequence[MissingPlayer] | None = None) -> None:
    """The buttons that repair a night: re-run what a run repairs, consolidate what is only staged."""
    batch_ids = _unmerged_batches(night)
    _consolidate_buttons(batch_ids, primary=True)
    _run_button(night, counts, selected, primary=not batch_ids)


def _unmerged_batches(night: NightStatus) -> list[str]:
    waiting = (m for m in list_missing_players(night) if m.reason is LossReason.NOT_CONSOLIDATED)
    return sorted({_batch_id(m) for m in waiting} - {""})


def _consolidate_buttons(batch_ids: Sequence[str], primary: bool) -> None:
    for batch in batch_ids:
        dialog.action_button(CONSOLIDATE_BATCH, "Consolidate staged rows", key=batch, primary=primary, batch_id=batch)


def _run_button(night: NightStatus, counts: RowCounts, selected: Sequence[MissingPlayer] | None, primary: bool) -> None:
    """Start the run of a night that has not run, else re-run whom a run repairs."""
    date = night.game_date.isoformat()
    candidates = list_repairable(night, counts, session.now()) if selected is None else selected
    repairable = [m for m in candidates if m.reason not in NOT_REPAIRABLE_BY_RUN]
    if not repairable:
        return
    if night.was_run is False:
        label = f"Start run of {text_format.pluralize(len(repairable), 'player')}"
        dialog.action_button(START_RUN, label, primary=True, game_date=date)
        return
    player_filter: dict[str, Any] = (
        {} if selected is None else {"players": [m.player.player_lookup for m in repairable]}
    )
    label = f"Re-run {describe_selected(repairable)}"
    dialog.action_button(START_RUN, label, primary=primary, game_date=date, **player_filter)


def _batch_id(entry: MissingPlayer) -> str:
    name = entry.player.staging_table.rpartition(".")[2]
    return parse_staging_table_name(name)[0] if name else ""


def staging_buttons(inventory: StagingInventory) -> None:
    """Consolidate the batches that hold rows of their own, the fullest first; drop merged tables."""
    merged_tables = [_table_name(table) for table in inventory.tables if table.unmerged_rows == 0]
    unmerged_batches = [batch for batch in inventory.batches if batch.unmerged_rows != 0]
    batch_ids = [batch.batch_id for batch in sorted(unmerged_batches, key=_unmerged_rows, reverse=True)]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for batch in batch_ids[:MAX_BUTTONS]:
            primary = batch == batch_ids[0]
            dialog.action_button(CONSOLIDATE_BATCH, f"Consolidate {batch}", key=batch, primary=primary, batch_id=batch)
        if merged_tables:
            dialog.action_button(
                DROP_MERGED,
                f"Drop {text_format.pluralize(len(merged_tables), 'merged table')}",
                key="all",
                tables=merged_tables,
            )
    if rest := batch_ids[MAX_BUTTONS:]:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = f"{text_format.pluralize(len(rest), 'more batch', 'more batches')} to consolidate"
            chosen_batch = st.selectbox(
                label, rest, key="batch to consolidate", index=None, placeholder="Select a batch"
            )
            if chosen_batch:
                dialog.action_button(CONSOLIDATE_BATCH, "Consolidate this batch", key="one", batch_id=chosen_batch)


def drop_one_table(shown: Sequence[StagingTable]) -> None:
    """Drop one of the tables that are shown, whatever it holds."""
    with (
        st.expander("Drop a single table…"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.selectbox("Table", [_table_name(table) for table in shown], key="table to drop", index=None)
        if name:
            dialog.action_button(DROP_ORPHAN, "Drop this table", key="one", tables=[name])


def _unmerged_rows(batch: BatchTotal) -> float:
    """How many rows may exist nowhere else: all of a batch without proof, whose number may itself be unknown."""
    rows = batch.rows if batch.unmerged_rows is None else batch.unmerged_rows
    return float("inf") if rows is None else rows


def _table_name(table: StagingTable) -> str:
    return table.table.rpartition(".")[2]


def scaling_form() -> None:
    """Scale the worker down, restore it or set its capacity; its saved values; the effect of a capacity."""
    capacity = widgets.value_or_notice(reads.worker_capacity(session.cached_clients()), "What is noted on the worker")
    if capacity is None:
        return
    _capacity_table(capacity)
    duration = st.segmented_control(
        "A narrowing lasts",
        list(_DURATIONS),
        default=_PERMANENT,
        required=True,
        key="narrow_lasts",
        bind="query-params",
    )
    revert_after = _DURATIONS[duration or _PERMANENT]
    revert_params: dict[str, Any] = {"revert_at": (_now_to_minute() + revert_after).isoformat()} if revert_after else {}
    with st.container(horizontal=True, gap="small"):
        emergency = emergency_capacity(capacity)
        at_emergency = (capacity.actual.instances, capacity.actual.concurrency) == emergency
        dialog.action_button(
            SCALE_DOWN,
            f"Emergency: narrow to {format_capacity(*emergency)}",
            primary=not at_emergency,
            **revert_params,
        )
        dialog.action_button(RESTORE_CAPACITY, "Restore the normal width")
        if not capacity.traffic.follows_latest:
            dialog.action_button(MOVE_TRAFFIC)
    _capacity_fields(capacity)


def _capacity_fields(capacity: WorkerCapacity) -> None:
    """Another capacity, with the button that sets it and its effect; while a field holds no such number, why."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="capacity form"):
        instances, instances_problem = whole_number_field(
            "Instances", 1, MAX_INSTANCES, capacity.actual.instances or 4, key="set instances"
        )
        concurrency, concurrency_problem = whole_number_field(
            "Requests each", 1, MAX_CONCURRENCY, capacity.actual.concurrency, key="set requests"
        )
        if instances is None or concurrency is None:
            dialog.action_button(SET_CAPACITY, key="form", disabled=True)
            problems = text_format.escape_markdown(f"{instances_problem} {concurrency_problem}".strip())
            st.markdown(f":red[:material/error: {problems}]", width="stretch")
            return
        dialog.action_button(
            SET_CAPACITY, f"Set {instances} × {concurrency}", key="form", instances=instances, requests=concurrency
        )
        st.markdown(
            f":material/calculate: {text_format.escape_markdown(simulate_contention(instances, concurrency).summary)}",
            width="stretch",
        )


def _now_to_minute() -> datetime:
    """Now, to the minute, so that a plan keeps its hash while it is read."""
    return session.now().replace(second=0, microsecond=0)


def _capacity_table(capacity: WorkerCapacity) -> None:
    """Actual, desired and configured capacity side by side, and a drift where a setting was overwritten."""
    instances, concurrency = capacity.configured
    desired = (
        f"{capacity.annotations.set_to} by {capacity.annotations.set_by}"
        if capacity.annotations.set_to
        else "not set by this desk"
    )
    normal = str(capacity.annotations.normal) if capacity.annotations.normal else "none noted"
    revert_text = (
        text_format.format_clock_time(capacity.annotations.revert_at) if capacity.annotations.revert_at else "no"
    )
    tables.text_table(
        [
            {
                "actual": str(capacity.actual),
                "desired": desired,
                "configured": f"{instances} × {concurrency}",
                "normal, noted on the service": normal,
                "reverts by itself": revert_text,
            }
        ],
        alt="Actual, desired and configured width of the worker",
        empty="",
    )
    if capacity.drift:
        st.warning(text_format.escape_markdown(capacity.drift), icon=":material/trending_flat:")
