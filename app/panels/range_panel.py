"""Several nights at once: the range that runs or has stopped, and the form from which one is planned."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import streamlit as st

from app.actions import action_feed, dialog
from app.components import text_format
from app.state import session
from services.actions.log_reader import Action, ActionLog
from services.core.clock import eastern_day, format_day
from services.core.errors import InvalidInput
from services.runs.night_range import (
    MAX_NIGHTS,
    UnfinishedRange,
    find_running_range,
    find_unfinished_range,
    parse_range,
)
from services.runs.range_actions import RUN_RANGE, STOP_RANGE, describe_progress

_SCOPES = {"Missing players": "lost", "All players": "date"}
_DEFAULT_NIGHTS = 3


def render(game_date: date, log: ActionLog | None) -> None:
    """The range that is in progress, or the one that stopped before its end; folded below it the form."""
    now, actions = session.now(), log.actions if log is not None else ()
    running = find_running_range(actions, now)
    if running is not None:
        _show_running(running)
        return
    if (unfinished := find_unfinished_range(actions, now)) is not None:
        _show_unfinished(unfinished)
    with st.expander("Re-run several nights", icon=":material/date_range:", key="several nights"):
        if log is None:
            st.caption("The action log could not be read: whether a range is in progress is unknown.")
        _show_form(game_date)


def _show_running(action: Action) -> None:
    with st.container(border=True, key="range running"):
        action_feed.render_action_line(action, session.now(), place="range")
        dialog.action_button(STOP_RANGE, "Stop before the next night", action_id=action.action_id)


def _show_unfinished(unfinished: UnfinishedRange) -> None:
    """What stopped it, and the button that goes on with the first night that is not done."""
    first = date.fromisoformat(unfinished.args["first"])
    action, args = unfinished.action, dict[str, Any](unfinished.args)
    with (
        st.container(border=True, key="range unfinished"),
        st.container(horizontal=True, vertical_alignment="center", gap="small"),
    ):
        state = action.message if action.ended_at is not None else "its process ended without an outcome"
        st.markdown(
            f":orange[:material/warning:] **{text_format.escape_markdown(action.title)}**: "
            f"{describe_progress(unfinished.progress)}  \n:gray[:small[{text_format.escape_markdown(state)}]]",
            width="stretch",
        )
        action_feed.link_to(action, "View")
        dialog.action_button(RUN_RANGE, f"Resume at {format_day(first)}", key="resume", primary=True, **args)


def _show_form(game_date: date) -> None:
    today = eastern_day(session.now())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        first = st.date_input(
            "From", game_date - timedelta(days=_DEFAULT_NIGHTS - 1), max_value=today, key="range from"
        )
        last = st.date_input("To", game_date, max_value=today, key="range to")
        players = st.segmented_control(
            "Players", list(_SCOPES), default="Missing players", required=True, key="range players"
        )
        args: dict[str, Any] = {"first": f"{first}", "last": f"{last}", "scope": _SCOPES[str(players)]}
        problem = range_problem(args)
        dialog.action_button(RUN_RANGE, "Plan the range", key="form", disabled=bool(problem), **args)
    if problem:
        st.markdown(f":red[:material/error: {text_format.escape_markdown(problem)}]")
    else:
        st.caption(f"At most {MAX_NIGHTS} nights, one after the other; it stops at the first that fails.")


def range_problem(args: dict[str, str]) -> str:
    """Why these nights are no range; "" where they are one."""
    try:
        parse_range(args, session.now())
    except InvalidInput as error:
        return str(error)
    return ""
