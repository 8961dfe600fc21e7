"""Runs: start, watch and stop one, resume one that stopped; every batch of the night with its sums, so that a success can be verified."""

from __future__ import annotations

import streamlit as st

from app.actions import dialog
from app.components import tables, text_format, widgets
from app.panels import run_panels
from app.state import reads, session
from services.batches.reader import Batch, Batches
from services.batches.state import IN_PROGRESS_STATES, RESUMABLE_STATES, STOPPABLE_STATES, BatchState
from services.judgement.statement import Subject
from services.runs.actions import RESUME_BATCH, START_RUN
from services.runs.stop import STOP_RUN

NO_BATCH_TEXT, UNKNOWN_PREFIX = "No batch of this night is recorded", "One of the records cannot be read: whether"
cloud, game_date = session.cached_clients(), session.game_date()
facts, judgement = reads.judgement(cloud, game_date)


def headline(batches: Batches) -> str:
    """The newest batch in one line: a stuck one and one at 0 % are named."""
    newest = batches.newest
    if newest is None:
        return f"{UNKNOWN_PREFIX} a batch ran is unknown" if batches.problems else NO_BATCH_TEXT
    requested = "unknown" if newest.requested is None else f"{newest.requested:,}"
    generated = "unknown" if newest.generated is None else f"{newest.generated:,}"
    no_progress = (
        ", at 0 %" if newest.state in IN_PROGRESS_STATES | {BatchState.STALLED} and newest.generated == 0 else ""
    )
    return f"{newest.batch_id}: {newest.state}, {generated} of {requested} players generated{no_progress}"


def duration_s(batch: Batch) -> int | str:
    """How long it took, or has taken so far."""
    end = batch.ended or (cloud.now() if batch.state in IN_PROGRESS_STATES else None)
    if batch.started is None or end is None:
        return "unknown"
    return round((end - batch.started).total_seconds())


def to_table_row(batch: Batch, newest: Batch | None) -> dict[str, object]:
    """One batch; the newest has the state that the night's judgement gives it, as on every other page."""
    return {
        "batch": batch.batch_id,
        "state": widgets.badge(judgement.get(Subject.BATCH).health if batch is newest else batch.health),
        "stands": str(batch.state),
        "started": text_format.format_day_time(batch.started),
        "seconds": duration_s(batch),
        "by": batch.started_by or "unknown",
        "asked": text_format.count_or_unknown(batch.requested),
        "generated": text_format.count_or_unknown(batch.generated),
        "rows staged": text_format.count_or_unknown(batch.staged_rows),
        "rows written": text_format.count_or_unknown(batch.written_rows),
        "says": batch.status_text,
    }


def run_buttons(batches: Batches | None) -> None:
    """Start or re-run the night; stop what asks players, resume what has stopped."""
    ran = bool(batches and batches.batches)
    with st.container(horizontal=True, gap="small"):
        label = "Re-run the lost players" if ran else "Start the run"
        dialog.action_button(START_RUN, label, primary=True, game_date=game_date.isoformat())
        if ran:
            dialog.action_button(
                START_RUN, "Re-run everybody", key="date", game_date=game_date.isoformat(), scope="date"
            )
        for batch in batches.batches if batches else ():
            for action_type, verb, states in (
                (STOP_RUN, "Stop", STOPPABLE_STATES),
                (RESUME_BATCH, "Resume", RESUMABLE_STATES),
            ):
                if batch.state in states and batch.record_source == "ledger":
                    dialog.action_button(
                        action_type, f"{verb} {batch.batch_id}", key=batch.batch_id, batch_id=batch.batch_id
                    )


def render(batches: Batches) -> None:
    judged = judgement.get(Subject.BATCH)
    answer_col, button_col = widgets.answer_row()
    with answer_col:
        widgets.verdict(
            judged.health, headline(batches), [session.format_day(game_date), judged.sentence], facts.outdated
        )
    with button_col:
        run_buttons(batches)
    widgets.render_problems(batches.problems)
    widgets.render_not_recorded(batches.not_recorded)
    for batch in batches.batches[:1]:
        if batch.state in IN_PROGRESS_STATES and batch.record_source == "ledger":
            run_panels.run_progress(batch)
    if batches.batches or not batches.problems:
        rows = [to_table_row(batch, batches.newest) for batch in batches.batches]
        tables.text_table(
            rows, alt="Batches", empty="Start the run: its plan says first whom it asks, and nothing happens yet."
        )
    widgets.source_footer(batches.sources, session.log_link_params("Consolidation"))
    for batch in batches.batches[:1]:
        if batch.state not in IN_PROGRESS_STATES and batch.record_source == "ledger":
            run_panels.run_verification(batch)


batches = widgets.value_or_notice(facts.batches, "The batches")
if batches is not None:
    render(batches)
else:
    run_buttons(None)
