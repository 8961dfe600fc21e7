"""Runs: start, watch and stop one; every batch of the game date, each with a page of its own."""

from __future__ import annotations

import streamlit as st

from app.actions import action_feed
from app.components import text_format, widgets
from app.components.html_table import Cell, Column, Link, Mark, show_table
from app.panels import batch_page, range_panel, repair_buttons, run_panels
from app.state import reads, session
from services.batches.ids import read_batch_date
from services.batches.reader import Batch, Batches
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.judgement.statement import Subject

BATCH_PARAM = "batch"  # the name in the URL: ?batch=…
NO_BATCH_TEXT, UNKNOWN_TEXT = "No batch is recorded for this date", "Batch history unavailable"
COLUMNS = (
    Column("Batch"),
    Column("Status"),
    Column("Started", minor=True),
    Column("Duration", numeric=True, minor=True),
    Column("Started by", minor=True),
    Column("Requested", numeric=True, minor=True),
    Column("Generated", numeric=True),
    Column("Rows staged", numeric=True, minor=True),
    Column("Rows written", numeric=True, minor=True),
    Column("Coordinator message", grows=True, minor=True),
)
cloud, game_date = session.cached_clients(), session.game_date()
wait_for_log = action_feed.fetch_log_async()
facts, judgement = reads.judgement(cloud, game_date)


def headline(batches: Batches) -> str:
    """The newest batch in one line: one that has stalled or made no progress is named."""
    newest = batches.newest
    if newest is None:
        return UNKNOWN_TEXT if batches.problems else NO_BATCH_TEXT
    requested, generated = map(text_format.count_or_unknown, (newest.requested, newest.generated))
    stuck = newest.state in IN_PROGRESS_STATES | {BatchState.STALLED} and newest.generated == 0
    no_progress = ", no progress" if stuck else ""
    return f"{newest.batch_id}: {newest.state}, {generated} of {requested} players generated{no_progress}"


def to_table_row(batch: Batch, newest: Batch | None) -> tuple[Cell, ...]:
    """One batch; the newest has the state that the date's judgement gives it, as on every other page."""
    health = judgement.get(Subject.BATCH).health if batch is newest else batch.health
    return (
        Link(batch.batch_id, "runs", batch_page.batch_params(batch.batch_id)),
        Mark(str(batch.state), None if batch.state in IN_PROGRESS_STATES else health),
        text_format.format_day_time(batch.started),
        batch_page.duration_text(batch, cloud.now()),
        batch.started_by or "unknown",
        text_format.count_or_unknown(batch.requested),
        text_format.count_or_unknown(batch.generated),
        text_format.count_or_unknown(batch.staged_rows),
        text_format.count_or_unknown(batch.written_rows),
        batch.status_text,
    )


def render(batches: Batches) -> None:
    judged = judgement.get(Subject.BATCH)
    if active_run is not None:
        run_panels.run_card(active_run, judged.sentence, judged.health, facts)
    else:
        answer_col, button_col = widgets.answer_row()
        with answer_col:
            widgets.verdict(judged.health, headline(batches), [judged.sentence], facts.outdated)
        with button_col:
            repair_buttons.run_buttons(facts, active_run)
    widgets.render_problems(batches.problems)
    widgets.render_not_recorded(batches.not_recorded)
    if batches.batches or not batches.problems:
        rows = [to_table_row(batch, batches.newest) for batch in batches.batches]
        empty = "No batches yet. “Start run” shows a plan first; nothing runs until you confirm."
        show_table(COLUMNS, rows, alt="Batches", empty=empty)
    widgets.source_footer(batches.sources, session.log_link_params("Consolidation"))
    if active_run is None and batches.newest is not None and batches.newest.record_source == "ledger":
        run_panels.run_verification(batches.newest)


def render_batch(batch_id: str, batches: Batches) -> None:
    """The page of the batch in the URL; of one of another date, that date."""
    batch = next((batch for batch in batches.batches if batch.batch_id == batch_id), None)
    if batch is not None:
        batch_page.show_batch(batch, batches, facts, judgement, active_run)
        return
    if (batch_date := read_batch_date(batch_id)) not in (None, game_date):
        session.set_night(batch_date)
        st.rerun()
    st.warning(
        f"Batch {text_format.escape_markdown(batch_id)} is not recorded for this date.", icon=":material/search_off:"
    )
    render(batches)


batches = widgets.value_or_notice(facts.batches, "The batches")
log = wait_for_log().value
active_run = run_panels.find_run(facts, log)
if batches is None:
    repair_buttons.run_buttons(facts, active_run)
else:
    batch_page.follow_start(active_run, batches)
    if batch_id := st.query_params.get(BATCH_PARAM):
        render_batch(batch_id, batches)
    else:
        render(batches)
        range_panel.render(game_date, log)
