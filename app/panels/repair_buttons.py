"""The action buttons of a page, each beside the problem it repairs, with its arguments filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.actions import dialog
from app.components import text_format
from app.state import session
from services.batches.ids import parse_staging_table_name
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Repair
from services.nights.missing_players import LossReason, MissingPlayer, list_missing_players
from services.nights.player_stages import NightStatus
from services.nights.row_counts import RowCounts, count_rows
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.active_run import ActiveRun
from services.runs.plan import describe_selected
from services.runs.run_context import NOT_REPAIRABLE_BY_RUN, list_repairable
from services.staging.consolidate import CONSOLIDATE_BATCH
from services.staging.drop import DROP_MERGED, DROP_ORPHAN
from services.staging.inventory import BatchTotal, StagingInventory, StagingTable, StagingTableState
from services.staging.remove_duplicates import REMOVE_DUPLICATES

MAX_BUTTONS = 3  # batches with a button of their own; over a season there may be a dozen


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
        label = "Consolidate staged rows" if len(batch_ids) == 1 else f"Consolidate {batch}"
        is_first = batch == batch_ids[0]
        dialog.action_button(CONSOLIDATE_BATCH, label, key=batch, primary=primary and is_first, batch_id=batch)


def _run_button(night: NightStatus, counts: RowCounts, selected: Sequence[MissingPlayer] | None, primary: bool) -> bool:
    """Start the run of a night that has not run, else re-run whom a run repairs; False where there is nobody to run."""
    date = night.game_date.isoformat()
    candidates = list_repairable(night, counts, session.now()) if selected is None else selected
    repairable = [m for m in candidates if m.reason not in NOT_REPAIRABLE_BY_RUN]
    if not repairable:
        return False
    if night.was_run is False:
        label = f"Start run of {text_format.pluralize(len(repairable), 'player')}"
        dialog.action_button(START_RUN, label, primary=True, game_date=date)
        return True
    player_filter: dict[str, Any] = (
        {} if selected is None else {"players": [m.player.player_lookup for m in repairable]}
    )
    label = f"Re-run {describe_selected(repairable)}"
    dialog.action_button(START_RUN, label, primary=primary, game_date=date, **player_filter)
    return True


def run_buttons(facts: NightFacts, active_run: ActiveRun | None) -> None:
    """Start or re-run a night, for the runs page; while a run is under way the buttons are disabled and say so."""
    date, night = facts.game_date.isoformat(), facts.night.value
    with st.container(horizontal=True, gap="small"):
        if active_run is not None:
            dialog.action_button(START_RUN, "Re-run: a run is in progress", disabled=True, game_date=date)
            return
        if night is None:
            dialog.action_button(START_RUN, "Re-run missing players", game_date=date)
        else:
            counts = count_rows(night, facts.usual.value, session.cached_clients().settings)
            if not _run_button(night, counts, None, primary=True) and night.was_run:
                dialog.action_button(START_RUN, "Re-run: no missing players", disabled=True, game_date=date)
        if night is None or night.was_run is not False:
            dialog.action_button(START_RUN, "Re-run all players…", key="date", game_date=date, scope="date")


def _batch_id(entry: MissingPlayer) -> str:
    name = entry.player.staging_table.rpartition(".")[2]
    return parse_staging_table_name(name)[0] if name else ""


def staging_buttons(inventory: StagingInventory) -> None:
    """Consolidate the batches with unmerged rows, the fullest first; drop merged tables. None of a batch that runs."""
    merged_tables = [_table_name(table) for table in inventory.tables if table.state is StagingTableState.MERGED]
    unmerged_batches = [
        batch
        for batch in inventory.batches
        if batch.unmerged_rows != 0 and batch.state is not StagingTableState.RUNNING
    ]
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
    """Drop one of the tables that are shown, whatever it holds; none of a batch that runs."""
    names = [_table_name(table) for table in shown if table.state is not StagingTableState.RUNNING]
    if not names:
        return
    with (
        st.expander("Drop a single table…"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.selectbox("Table", names, key="table to drop", index=None, placeholder="Select a table")
        if name:
            dialog.action_button(DROP_ORPHAN, "Drop this table", key="one", tables=[name])


def _unmerged_rows(batch: BatchTotal) -> float:
    """How many rows may exist nowhere else: all of a batch without proof, whose number may itself be unknown."""
    rows = batch.rows if batch.unmerged_rows is None else batch.unmerged_rows
    return float("inf") if rows is None else rows


def _table_name(table: StagingTable) -> str:
    return table.table.rpartition(".")[2]
