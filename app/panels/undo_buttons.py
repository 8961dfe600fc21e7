"""Undo, where the thing was done: the actions of the log that a page's own actions were, as long as each can be undone."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from app.actions import dialog
from app.components import text_format
from app.state import session
from services.action_registry import find_undo, find_undone_by
from services.actions.log_reader import Action, ActionLog

MAX_UNDO_LINES = 3  # of a page; the action log has them all


def undo_lines(log: ActionLog | None, action_names: Collection[str]) -> None:
    """The newest of these actions that can be undone, each with its button and a link to it; nothing where there is none."""
    actions = log.actions if log is not None else ()
    found = [a for a in actions if a.action_name in action_names and find_undo(a, actions, session.now()) is not None]
    for action in found[:MAX_UNDO_LINES]:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"undo {action.action_id}"):
            ended = text_format.format_day_time(action.ended_at)
            st.caption(f"{text_format.escape_markdown(action.title)} · {ended}", width="content")
            undo_button(action, log)
            action_link(action)


def undo_button(action: Action, log: ActionLog | None) -> None:
    """The button that undoes an action; nothing where it was undone or can't be (any more)."""
    undo = find_undo(action, log.actions if log is not None else (), session.now())
    if undo is not None:
        label = f"Undo: {undo.action_type.label[:1].lower()}{undo.action_type.label[1:]}"
        dialog.action_button(undo.action_type, label, key=f"undo {action.action_id}", **undo.args)


def undone_note(action: Action, log: ActionLog) -> None:
    """That an action was undone, by whom and when, with a link to the action that did."""
    undone_by = find_undone_by(action, log.actions)
    if undone_by is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        actor = text_format.escape_markdown(undone_by.actor)
        ended = text_format.format_day_time(undone_by.ended_at)
        st.markdown(f":material/undo: **Undone** by {actor}, {ended}", width="content")
        action_link(undone_by)


def action_link(action: Action) -> None:
    """The way to an action's page."""
    params = {**session.link_params(), "action": action.action_id}
    st.page_link("../pages/action_log.py", label="Details", query_params=params)
