"""The page of one batch: its stages over time, its players and log lines, its verification, who started it and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape

import streamlit as st

from app.actions import action_feed, dialog
from app.charts import dml_chart
from app.charts.batch_stages import format_duration, stages_html
from app.components import filters, text_format, widgets
from app.components.html_table import Column, Link, Mark, show_table
from app.panels import notes_panel, run_panels
from app.state import reads, session
from services.actions.log_reader import Action
from services.batches.reader import WINDOW_LAG, WINDOW_LEAD, Batch, Batches
from services.batches.state import IN_PROGRESS_STATES, RESUMABLE_STATES, STOPPABLE_STATES
from services.core.clock import format_day, format_eastern
from services.core.console_links import logs_url
from services.core.result import Health, list_outdated
from services.core.sources import BATCHES
from services.core.text import to_printable
from services.judgement.facts import NightFacts
from services.judgement.judge import NightJudgement
from services.judgement.statement import Subject
from services.notes.note import About
from services.runs.actions import RESUME_BATCH
from services.runs.active_run import ActiveRun
from services.runs.batch_details import BatchDetails, BatchPlayer, write_stages, writes_of_batch
from services.runs.stop import STOP_RUN
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.log_reader import LogLine

MAX_PLAYERS, MAX_LINES = 50, 50  # rows that are shown; search finds the others
_PLAYER_COLUMNS = (
    Column("Player"),
    Column("Game", minor=True),
    Column("Status"),
    Column("Generated rows", numeric=True),
    Column("Active rows", numeric=True),
    Column("Reason", grows=True, minor=True),
)
_LINE_COLUMNS = (Column("Time (ET)"), Column("Severity", minor=True), Column("Message", grows=True))
_CHECK_COLUMNS = (Column("Check"), Column("Detail", grows=True))


def batch_params(batch_id: str) -> dict[str, str]:
    """The query parameters of a batch's page."""
    return {**session.link_params(), "batch": batch_id}


def follow_start(run: ActiveRun | None, batches: Batches) -> None:
    """Show the batch of a run that was just confirmed as soon as its coordinator has accepted it."""
    if run is None or any(batch.batch_id == run.batch_id for batch in batches.batches):
        return
    event, clients = f"accepted {run.batch_id}", session.cached_clients()
    if run.batch_id and reads.forget_once(clients, event, frozenset((BATCHES,))):
        st.rerun()


def show_batch(
    batch: Batch, batches: Batches, facts: NightFacts, judgement: NightJudgement, active_run: ActiveRun | None
) -> None:
    """The whole page of one batch of the chosen game date; while it runs its progress stands where its verdict will be."""
    cloud, now = session.cached_clients(), session.now()
    later = [b.started for b in batches.batches if b.started and batch.started and b.started > batch.started]
    reading = reads.batch_details.fetch_async(cloud, batch, min(later, default=None))
    st.page_link(
        "../pages/runs.py",
        label=f"All runs · {format_day(batch.game_date)}",
        icon=":material/arrow_back:",
        query_params=session.link_params(),
    )
    health, headline = judge(batch, batches, judgement)
    is_running = active_run is not None and active_run.batch_id == batch.batch_id
    if active_run is not None and is_running:
        run_panels.run_card(active_run, batch.batch_id, health)
    else:
        headline = headline[:1].upper() + headline[1:]
        widgets.verdict(health, headline, [batch.batch_id, batch.status_text], list_outdated((facts.batches,)))
    action = find_action(batch.batch_id, action_feed.fetch_log().value)
    _show_facts(batch, action, now)
    _show_buttons(batch, action, is_running)
    details = widgets.value_or_notice(reading(), "The batch")
    stages = (
        details.stages if details is not None and details.stages else tuple(write_stages(batch, facts.writes.value))
    )
    left, right = st.columns([1.5, 1], gap="medium")
    with left:
        st.subheader("Stages", anchor=False)
        st.html(stages_html(stages, now) or "<p>No stage is recorded.</p>")
        _show_rejections(batch, facts.writes.value)
    with right:
        _show_verification(batch, batches, judgement)
    notes_panel.render(batch.game_date, About.BATCH, batch.batch_id)
    if details is not None:
        _show_tabs(batch, details)
        widgets.source_footer(details.sources, session.log_link_params("Consolidation"))


def judge(batch: Batch, batches: Batches, judgement: NightJudgement) -> tuple[Health, str]:
    """The batch in one line; the newest has the state that the date's judgement gives it, as on every other page."""
    if batch is batches.newest:
        statement = judgement.get(Subject.BATCH)
        return statement.health, statement.sentence.removeprefix(f"{batch.batch_id}: ")
    requested, generated = map(text_format.count_or_unknown, (batch.requested, batch.generated))
    return batch.health, f"{batch.state}: {generated} of {requested} players generated"


def find_action(batch_id: str, log: object) -> Action | None:
    """The action that started or resumed a batch last; None when the log has none."""
    actions = getattr(log, "actions", ())
    return next((a for a in actions if a.facts.get("batch_id") == batch_id and a.action_name.startswith("run.")), None)


def duration_text(batch: Batch, now: datetime) -> str:
    """How long it took, or has taken so far."""
    end = batch.ended or (now if batch.state in IN_PROGRESS_STATES else None)
    if batch.started is None or end is None:
        return "unknown"
    return format_duration((end - batch.started).total_seconds())


def _show_facts(batch: Batch, action: Action | None, now: datetime) -> None:
    facts = {
        "Started": format_eastern(batch.started, "%-d %b, %H:%M:%S") if batch.started else "unknown",
        "Duration": duration_text(batch, now),
        "Started by": (action.actor if action else batch.started_by) or "unknown",
        "Reason": (action.reason or "none given") if action else "not started from this dashboard",
        "Rows written": f"{batch.written_rows:,}" if batch.written_rows is not None else "unknown",
        "Recorded in": "batch log" if batch.record_source == "ledger" else "service logs",
    }
    items = "".join(f"<div><dt>{name}</dt><dd>{escape(to_printable(text))}</dd></div>" for name, text in facts.items())
    st.html(f'<dl class="batch-facts">{items}</dl>')


def _show_buttons(batch: Batch, action: Action | None, is_running: bool) -> None:
    """What can be done with the batch; while it runs, Stop is in its progress."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if batch.record_source == "ledger" and batch.state in STOPPABLE_STATES and not is_running:
            dialog.action_button(STOP_RUN, "Stop run", key=batch.batch_id, batch_id=batch.batch_id)
        if batch.record_source == "ledger" and batch.state in RESUMABLE_STATES:
            dialog.action_button(
                RESUME_BATCH, "Resume batch", key=batch.batch_id, primary=True, batch_id=batch.batch_id
            )
        if action is not None:
            params = {**session.link_params(), "action": action.action_id}
            st.page_link("../pages/action_log.py", label="Action", icon=":material/history:", query_params=params)


def _show_rejections(batch: Batch, writes: DmlReport | None) -> None:
    """The writes of the batch by the minute, where any was rejected."""
    report = writes_of_batch(batch, writes)
    if report is None and writes is not None and writes.rejected_at_least:
        st.caption(
            f"At least {writes.rejected_at_least:,} writes of this date were rejected; of which batch is unknown."
        )
    elif report is not None and report.rejected:
        st.subheader("Rejected writes", anchor=False)
        alt = f"{report.rejected:,} of {report.attempted:,} writes of this batch rejected"
        st.html(dml_chart.to_html(report, (), alt))


def _show_verification(batch: Batch, batches: Batches, judgement: NightJudgement) -> None:
    if batch.record_source == "ledger":
        if batch.state not in IN_PROGRESS_STATES:
            run_panels.run_verification(batch)
    elif batch is batches.newest:
        subjects = (Subject.PLAYERS, Subject.WRITES, Subject.ROWS, Subject.CONSERVATION)
        statements = [judgement.get(subject) for subject in subjects]
        st.subheader("Verification", anchor=False)
        rows = [(Mark(str(s.subject), s.health), s.sentence) for s in statements]
        show_table(_CHECK_COLUMNS, rows, alt=f"Verification of {batch.batch_id}", empty="")


def _console_url(batch: Batch) -> str:
    """The log of both services in the time of the batch; "" in the sandbox, or without its start."""
    settings = session.cached_clients().settings
    if batch.started is None:
        return ""
    names = f'"{settings.worker_service}" OR "{settings.coordinator_service}"'
    end = (batch.ended or session.now()) + WINDOW_LAG
    return logs_url(settings, f"resource.labels.service_name=({names})", batch.started - WINDOW_LEAD, end)


def _show_tabs(batch: Batch, details: BatchDetails) -> None:
    players_tab, logs_tab = st.tabs([f"Players {len(details.players):,}", f"Logs {len(details.lines):,}"])
    with players_tab:
        _show_players(details.players)
    with logs_tab:
        _show_lines(details.lines)
        if url := _console_url(batch):
            st.link_button("Open in Cloud Logging", url, icon=":material/open_in_new:", type="tertiary")


def _show_players(players: Sequence[BatchPlayer]) -> None:
    counts = Counter(player.state for player in players)
    states, terms = filters.filter_bar("Status", counts, "Player, team…", "batch_players")
    found = [
        p
        for p in players
        if (not states or p.state in states)
        and filters.matches_search(
            {"name": p.name, "lookup": p.player_lookup, "game": p.matchup, "why": p.detail}, terms
        )
    ]
    rows = [
        (
            Link(p.name, "player", {**session.link_params(), "player": p.player_lookup}),
            p.matchup,
            Mark(p.state, p.health),
            p.generated_rows,
            p.active_rows,
            p.detail,
        )
        for p in found[:MAX_PLAYERS]
    ]
    show_table(_PLAYER_COLUMNS, rows, alt="Players of the batch", empty="No players match.")
    _show_rest(len(found) - MAX_PLAYERS)


def _show_lines(lines: Sequence[LogLine]) -> None:
    terms = filters.search_terms("Player, table, error…", "batch_lines_find")
    found = [line for line in lines if all(term in line.message.lower() for term in terms)]
    rows = [(format_eastern(line.at, "%H:%M:%S"), line.severity, line.message) for line in found[:MAX_LINES]]
    show_table(_LINE_COLUMNS, rows, alt="Log lines of the batch", empty="No matching log lines.")
    _show_rest(len(found) - MAX_LINES)


def _show_rest(more: int) -> None:
    if more > 0:
        st.caption(f"{more:,} more: search finds them.")
