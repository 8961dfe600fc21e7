"""The action log: who did what, why, what was planned, the outcome; and what can be undone."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.actions import dialog, plan_view, status_strip
from app.components import filters, tables, text_format, widgets
from app.state import session
from services.action_registry import UNDO_ACTIONS
from services.actions.log_reader import Action, ActionLog, ActionState
from services.auth.roles import Role
from services.core.result import Health, list_outdated
from services.scaling.actions import RESTORE_CAPACITY
from services.staging.restore_dropped import UNDO_DROP

ACTION_PARAM = "action"  # the name in the URL: ?action=…
cloud, now = session.cached_clients(), session.now()


def to_table_row(action: Action) -> dict[str, object]:
    return {
        "began": action.started_at,
        "what": action.title,
        "state": str(action.state),
        "what came of it": action.message if action.ended_at else "no outcome is recorded",
        "coverage": coverage_change(action),
        "who": action.actor,
        "as": action.role,
        "why": action.reason,
        "seconds": (action.ended_at - action.started_at).total_seconds() if action.ended_at else None,
        "verb": action.action_name,
        "target": action.target,
        "id": action.action_id,
    }


def coverage_change(action: Action) -> str:
    before, after = action.coverage_before, action.coverage_after
    if before is None or after is None:
        return ""
    return f"{before.active} → {after.active} of {after.eligible}"


def filter_actions(log: ActionLog) -> list[Action]:
    """The actions that match the filters."""
    counts = Counter(str(action.state) for action in log.actions)
    states, terms = filters.filter_bar("State", counts, "Who, what, why…", "action")
    return [
        a
        for a in log.actions
        if (not states or str(a.state) in states) and filters.matches_search(to_table_row(a), terms)
    ]


def render_action(action: Action) -> None:
    """One action in full, with a link of its own."""
    with st.container(border=True):
        status_strip.render_action_line(action, now)
        st.caption(
            text_format.escape_markdown(
                f"{action.action_name} on {action.target} · {action.actor} as {action.role} · began"
                f" {text_format.format_clock_time(action.started_at)} · id {action.action_id} ·"
                f" reason: {action.reason or 'none given'} · coverage {coverage_change(action) or 'not concerned'}"
            )
        )
        for at, sentence in action.steps:
            st.caption(f"{text_format.format_exact_time(at)} · {text_format.escape_markdown(sentence)}")
        if "dropped_from_ms" in action.facts:
            dialog.action_button(UNDO_DROP, "Bring the tables back", key=action.action_id, action_id=action.action_id)
        undo, states = UNDO_ACTIONS.get(action.action_name, (None, ()))
        if undo is not None and action.state in states:
            dialog.action_button(undo, undo.label, key=action.action_id, action_id=action.action_id)
        if (
            action.action_name.startswith("scaling.")
            and action.action_name != RESTORE_CAPACITY.name
            and action.state is ActionState.DONE
        ):
            dialog.action_button(RESTORE_CAPACITY, "Restore the normal width", key=action.action_id)
        with st.expander("The plan as it was shown, and the state after"):
            plan_view.show_plan(action.plan, key=action.action_id)
            st.json(dict(action.facts), expanded=False)


def headline(log: ActionLog) -> tuple[Health, str]:
    """How many actions there were, and whether each has its outcome."""
    unfinished = [action for action in log.actions if action.is_abandoned(now)]
    count_text = f"{text_format.pluralize(len(log.actions), 'action')} in {status_strip.LOG_WINDOW.days} days"
    if unfinished:
        return Health.UNKNOWN, f"{len(unfinished)} of {count_text} have no outcome"
    if log.actions:
        return Health.OK, f"{count_text}, each with its outcome"
    return Health.NONE_EXPECTED, f"Nothing was done in {status_strip.LOG_WINDOW.days} days"


def render(log: ActionLog) -> None:
    widgets.verdict(*headline(log), outdated=list_outdated((reading,)))
    if not log.actions:
        st.caption(
            f"What an {Role.OPERATOR} does with a button is kept here: who, why, before, after, what came of it."
        )
    requested_id = st.query_params.get(ACTION_PARAM)
    chosen = next((action for action in log.actions if action.action_id == requested_id), None)
    if requested_id and chosen is None:
        st.caption("The action in the address is not in this log.")
    if chosen is not None:
        render_action(chosen)
    if log.actions:
        rows = [{**to_table_row(action), "link": f"?action={action.action_id}"} for action in filter_actions(log)]
        link_column = st.column_config.LinkColumn("record", display_text="open")
        tables.data_grid(rows, name="actions", alt="Actions", empty="No action matches.", link=link_column)
    widgets.source_footer((log.source,))


reading = status_strip.fetch_log()
action_log = widgets.value_or_notice(reading, "The action log")
if action_log is not None:
    render(action_log)
