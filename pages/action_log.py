"""Action log: every change made from this dashboard with its result, each with a page of its own that undoes it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.actions import action_feed
from app.components import filters, tables, text_format, widgets
from app.components.html_table import Cell, Column, Link, Mark, show_table
from app.panels import action_page
from app.state import session
from services.actions.log_reader import LOG_WINDOW, Action, ActionLog
from services.core.result import Health, list_outdated

ACTION_PARAM = "action"  # the name in the URL: ?action=…
MAX_SHOWN_ACTIONS = 50  # search finds the others
COLUMNS = (
    Column("Action"),
    Column("Status"),
    Column("Result", grows=True, minor=True),
    Column("Time"),
    Column("User", minor=True),
    Column("Reason", minor=True),
    Column("Coverage", minor=True),
    Column("Duration", numeric=True, minor=True),
)
cloud, now = session.cached_clients(), session.now()


def to_table_row(action: Action) -> tuple[Cell, ...]:
    """What happened and the link to it first, then who and why."""
    return (
        Link(action.title, "action_log", {**session.link_params(), ACTION_PARAM: action.action_id}),
        Mark(action.state.word, action_page.action_health(action, now)),
        action_page.result_text(action),
        text_format.format_day_time(action.started_at),
        action.actor,
        action.reason,
        action_page.coverage_change(action),
        action_page.duration_text(action),
    )


def filter_actions(log: ActionLog) -> list[Action]:
    """The actions that match the filters."""
    counts = Counter(action.state.word for action in log.actions)
    states, terms = filters.filter_bar("Status", counts, "Search actions…", "action")
    return [
        a
        for a in log.actions
        if (not states or a.state.word in states)
        and filters.matches_search(
            {"title": a.title, "result": a.message, "user": a.actor, "reason": a.reason, "target": a.target}, terms
        )
    ]


def headline(log: ActionLog) -> tuple[Health, str]:
    """How many actions there were, and whether each has its result."""
    unfinished = [action for action in log.actions if action.is_abandoned(now)]
    count_text = text_format.pluralize(len(log.actions), "action")
    if unfinished:
        return Health.UNKNOWN, f"{len(unfinished)} of {count_text} without a result"
    if log.actions:
        running = sum(action.ended_at is None for action in log.actions)
        return Health.OK, f"{count_text}, {f'{running} in progress' if running else 'all completed'}"
    return Health.NONE_EXPECTED, f"No actions in the last {LOG_WINDOW.days} days"


def render(log: ActionLog) -> None:
    widgets.verdict(*headline(log), (f"Last {LOG_WINDOW.days} days",), list_outdated((reading,)))
    if log.actions:
        found = filter_actions(log)
        rows = [to_table_row(action) for action in found[:MAX_SHOWN_ACTIONS]]
        show_table(COLUMNS, rows, alt="Actions", empty="No matches.")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            tables.csv_button(found, "actions", action_page.csv_row)
            if (more := len(found) - MAX_SHOWN_ACTIONS) > 0:
                st.caption(f"{more:,} more: search finds them, the CSV has them all.")
    else:
        st.caption("Every change made from this dashboard is kept here: user, reason, plan, result.")
    widgets.source_footer((log.source,))


def render_chosen(log: ActionLog, action_id: str) -> None:
    """The page of the action in the URL, or the list with a sentence."""
    action = next((action for action in log.actions if action.action_id == action_id), None)
    if action is not None:
        action_page.show_action(action, log)
        return
    st.warning(f"Action not found in the last {LOG_WINDOW.days} days.", icon=":material/search_off:")
    render(log)


reading = action_feed.fetch_log()
action_log = widgets.value_or_notice(reading, "The action log")
if action_log is not None:
    if requested_id := st.query_params.get(ACTION_PARAM):
        render_chosen(action_log, requested_id)
    else:
        render(action_log)
