"""One batch: its progress while it runs, and its verification when it has ended."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import streamlit as st

from app.actions import action_feed, dialog
from app.charts.html_parts import head_html, percent, section_html
from app.components import text_format, widgets
from app.components.html_table import Column, Mark, show_table
from app.state import reads, session
from services.actions.log_reader import ActionLog
from services.batches.reader import Batch
from services.batches.state import IN_PROGRESS_STATES, STOPPABLE_STATES, BatchState
from services.core.clock import format_eastern
from services.core.result import Health
from services.judgement.facts import NightFacts
from services.runs.active_run import ActiveRun, find_active_run
from services.runs.progress import RunProgress
from services.runs.stop import STOP_RUN

_ENDED_STATES = set(BatchState) - IN_PROGRESS_STATES
_STAGES_TO_COME = ("answered", "staged", "consolidated")


def find_run(facts: NightFacts, log: ActionLog | None = None) -> ActiveRun | None:
    """The run of the date that is under way, by the log that was read or by a new one.

    One that has ended counts until the night is read anew; so long its outcome is held, and both are shown together.
    """
    log = log or action_feed.fetch_log().value
    handles = action_feed.session_handles().values()
    is_read = all(result.value is not None for result in (facts.night, facts.usual, facts.batches))
    is_read = is_read and not action_feed.has_unnoticed_end(log)
    actions = log.actions if log else ()
    run = find_active_run(facts.game_date, facts.batches.value, actions, handles, session.now(), is_read)
    action_feed.hold_outcome(run.settling_id if run is not None else "")
    return run


def run_card(run: ActiveRun, text: str, health: Health, facts: NightFacts | None = None) -> None:
    """The head of a page while a run is under way: its stages, rate and end, and its buttons, refreshed every two seconds.

    `text` and `health` are of the night meanwhile; a critical one keeps its word. By `facts` the batch is found of a run that is
    only requested, for which the whole page is drawn anew: it has other buttons.
    """
    had_dialog = dialog.is_dialog_open()

    @st.fragment(run_every=None if session.paused_since() else "2s", key="run progress")
    def refresh() -> None:
        progress, no_progress = None, "Checking once more before it begins"
        if run.batch_id:
            result = reads.run_progress(session.cached_clients(), run.batch_id, run.started)
            problem = result.problem.message if result.problem else "The coordinator does not report this batch."
            progress, no_progress = result.value, f"Progress unknown: {problem}"
        elif facts is not None and not dialog.is_dialog_open():
            found = find_run(facts)
            if found is not None and found.batch_id:
                st.rerun()
        st.html(run_html(run, progress, no_progress, text, health))
        with st.container(horizontal=True, gap="small", key="head actions"):
            _run_buttons(run, progress)
        if dialog.is_dialog_open() and not had_dialog:  # Stop was pressed: its plan is drawn by the page
            st.rerun()

    with st.container(key="incident-acc"):
        refresh()


def _run_buttons(run: ActiveRun, progress: RunProgress | None) -> None:
    if run.batch_id:
        stoppable = run.stoppable if progress is None else progress.state in STOPPABLE_STATES
        reason = "" if stoppable else "All players have been requested: there is nothing left to stop."
        dialog.action_button(
            STOP_RUN, "Stop", key=run.batch_id, help=reason, disabled=not stoppable, batch_id=run.batch_id
        )
        query_params = {**session.link_params(), "batch": run.batch_id}
        st.page_link("../pages/runs.py", label="Open run", icon=":material/arrow_forward:", query_params=query_params)
    st.button("Re-run: running…", icon=":material/play_circle:", disabled=True, key="re-run while running")


def run_html(run: ActiveRun, progress: RunProgress | None, no_progress: str, text: str, health: Health) -> str:
    """The head and the stages of a run; without `progress` the sentence `no_progress` instead of numbers. Pure."""
    requested = progress.requested if progress is not None else run.requested
    players = "players" if requested is None else text_format.pluralize(requested, "player")
    if progress is None:
        badge = ("progress_activity", "acc", "Running" if run.batch_id else "Starting")
        sentence, stages = no_progress, (("requested", requested), *((name, None) for name in _STAGES_TO_COME))
    else:
        badge, sentence, stages = _badge(progress), " · ".join([*_describe(progress), text]), progress.stages[:4]
    critical = [("error", "red", "Critical")] if health is Health.CRITICAL else []
    head = head_html(f"{'Re-running' if run.repeats else 'Running'} {players}", sentence, badge, *critical)
    bars = "".join(_stage_html(name, count, requested) for name, count in stages)
    return section_html(f'{head}<div class="run-stages">{bars}</div>')


def _badge(progress: RunProgress) -> tuple[str, str, str]:
    if progress.stalled:
        return "warning", "amb", "Stalled"
    return "progress_activity", "acc", "Verifying" if progress.state in _ENDED_STATES else progress.state.capitalize()


def _describe(progress: RunProgress) -> Iterator[str]:
    """The rate and the end while it runs, and who was not staged."""
    if progress.state not in _ENDED_STATES:
        yield f"{progress.per_minute:,.0f} players/min" if progress.per_minute else "no rate yet"
        if progress.ready_at is not None:
            yield f"ETA {format_eastern(progress.ready_at, '%H:%M:%S')}"
    yield from filter(None, (progress.not_staged, progress.message if progress.stalled else ""))


def _stage_html(name: str, players: int | None, requested: int | None) -> str:
    """One stage with its bar; without numbers the bar is empty and says so."""
    label, known = escape(name.capitalize()), players is not None and requested
    of_text = f"<small>of {requested:,}</small>" if requested is not None else ""
    count = f"<b>{players:,} {of_text}</b>" if players is not None else "<b>unknown</b>"
    done = min(1.0, (players or 0) / requested) if requested else 0.0
    value = (
        f'aria-valuemin="0" aria-valuemax="{requested}" aria-valuenow="{players}"'
        if known
        else 'aria-valuetext="unknown"'
    )
    color = "done" if done == 1.0 else ""
    return (
        f'<div><div class="h"><span>{label}</span>{count}</div><div class="prog" role="progressbar" aria-label="{label}" {value}>'
        f'<i class="{color}" style="width:{percent(done)}"></i></div></div>'
    )


def run_verification(batch: Batch) -> None:
    """The verification of a run, each check with its numbers."""
    checks = widgets.value_or_notice(reads.run_verification(session.cached_clients(), batch), "The verification")
    if checks is None:
        return
    health_by_ok = {True: Health.OK, False: Health.CRITICAL, None: Health.UNKNOWN}
    st.subheader("Verification", anchor=False)
    rows = [(Mark(check.name, health_by_ok[check.ok]), check.detail) for check in checks]
    show_table((Column("Check"), Column("Detail", grows=True)), rows, alt=f"Verification of {batch.batch_id}", empty="")
