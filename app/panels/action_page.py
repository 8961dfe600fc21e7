"""The page of one action: what came of it, who did it and why, each step, the plan as it was shown; and what undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape

import streamlit as st

from app.actions import action_feed, plan_view
from app.charts.batch_stages import format_duration
from app.components import text_format, widgets
from app.panels import undo_buttons
from app.state import session
from services.actions.log_reader import Action, ActionLog, ActionState
from services.actions.plan import TITLE_SEPARATOR
from services.core.clock import format_eastern
from services.core.result import Health
from services.core.text import to_printable

HEALTH_BY_STATE: Mapping[ActionState, Health | None] = {
    ActionState.IN_PROGRESS: None,
    ActionState.DONE: Health.OK,
    ActionState.FAILED: Health.CRITICAL,
    ActionState.REFUSED: Health.WARNING,
    ActionState.DENIED: Health.WARNING,
    ActionState.UNVERIFIED: Health.UNKNOWN,
}


def action_health(action: Action, now: datetime) -> Health | None:
    """How an action stands; None while it is under way."""
    return Health.UNKNOWN if action.is_abandoned(now) else HEALTH_BY_STATE[action.state]


def result_text(action: Action) -> str:
    """What came of it, or that no result is recorded."""
    return action.message if action.ended_at else "no result recorded"


def coverage_change(action: Action) -> str:
    """The coverage before and after; empty where the action was not about it."""
    before, after = action.coverage_before, action.coverage_after
    if before is None or after is None:
        return ""
    return f"{before.active} → {after.active} of {after.eligible}"


def duration_text(action: Action) -> str:
    """How long it took; empty while it has no result."""
    return format_duration((action.ended_at - action.started_at).total_seconds()) if action.ended_at else ""


def csv_row(action: Action) -> dict[str, object]:
    """An action as a row of the download."""
    return {
        "started": action.started_at,
        "ended": action.ended_at,
        "action": action.title,
        "status": action.state.word,
        "result": result_text(action),
        "user": action.actor,
        "role": action.role,
        "reason": action.reason,
        "coverage": coverage_change(action),
        "target": action.target,
        "type": action.action_name,
        "id": action.action_id,
    }


def show_action(action: Action, log: ActionLog) -> None:
    """The whole page of one action."""
    now = session.now()
    st.page_link(
        "../pages/action_log.py", label="All actions", icon=":material/arrow_back:", query_params=session.link_params()
    )
    state = "no result recorded" if action.is_abandoned(now) else action.state.word
    operation, _, where = action.title.partition(TITLE_SEPARATOR)
    widgets.verdict(
        action_health(action, now) or Health.NONE_EXPECTED, f"{operation}: {state}", [where, result_text(action)]
    )
    _show_facts(action)
    undo_buttons.undone_note(action, log)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        undo_buttons.undo_button(action, log)
        if batch_id := action.facts.get("batch_id"):
            params = {**session.link_params(), "batch": str(batch_id)}
            st.page_link("../pages/runs.py", label="Open run", icon=":material/directions_run:", query_params=params)
        if url := _job_url(action):
            st.link_button("Open MERGE job", url, icon=":material/open_in_new:", type="tertiary")
        if action.is_abandoned(now):
            action_feed.render_action_line(action, now)
    if action.steps:
        st.subheader("Steps", anchor=False)
        for at, sentence in action.steps:
            st.caption(f"{text_format.format_exact_time(at)} · {text_format.escape_markdown(sentence)}")
    if action.plan_json:
        st.subheader("Plan", anchor=False)
        plan_view.show_plan(action.plan, key=action.action_id)
    with st.expander("Recorded facts"):
        st.json(dict(action.facts), expanded=False)


def _job_url(action: Action) -> str:
    """The MERGE of a consolidation in the console; "" for other actions and in the sandbox."""
    job_id = action.facts.get("merge job")
    return session.job_url(str(job_id)) if job_id else ""


def _show_facts(action: Action) -> None:
    facts = {
        "Time": format_eastern(action.started_at, "%-d %b, %H:%M:%S"),
        "Duration": duration_text(action) or "unknown",
        "User": f"{action.actor} ({action.role})",
        "Reason": action.reason or "no reason given",
        "Coverage": coverage_change(action),
        "Target": action.target,
        "Type": action.action_name,
        "ID": action.action_id,
    }
    items = (f"<div><dt>{name}</dt><dd>{escape(to_printable(text))}</dd></div>" for name, text in facts.items() if text)
    st.html(f'<dl class="batch-facts">{"".join(items)}</dl>')
