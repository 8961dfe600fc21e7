"""The action log: who did what, why, what was planned, what came of it; and what can be taken back."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from app.actions import dialog as actions
from app.actions import status_strip as under_way
from app.components import filters, tables, widgets
from app.components import text_format as words
from app.state import session
from services.action_registry import TAKEN_BACK_BY
from services.actions.log_reader import Action, Log, State
from services.auth.roles import Role
from services.core.result import Health
from services.scaling.actions import RESTORE
from services.staging.restore_dropped import UNDO_DROP

ACTION = "action"  # the name in the URL: ?action=…
cloud, now = session.cloud(), session.now()


def as_row(action: Action) -> dict[str, object]:
    return {
        "began": action.begun,
        "what": action.title,
        "state": str(action.state),
        "what came of it": action.sentence if action.ended else "no outcome is recorded",
        "coverage": coverage(action),
        "who": action.actor,
        "as": action.role,
        "why": action.reason,
        "seconds": (action.ended - action.begun).total_seconds() if action.ended else None,
        "verb": action.verb,
        "target": action.target,
        "id": action.action_id,
    }


def coverage(action: Action) -> str:
    before, after = action.coverage_before, action.coverage_after
    if before is None or after is None:
        return ""
    return f"{before.active} → {after.active} of {after.eligible}"


def matches(action: Action, sought: list[str]) -> bool:
    """Every word of the search stands somewhere in the row."""
    text = " ".join(str(value) for value in as_row(action).values()).lower()
    return all(word in text for word in sought)


def choose(log: Log) -> list[Action]:
    """The actions that the pills and the search leave."""
    counts = Counter(str(action.state) for action in log.actions)
    states, sought = filters.bar("State", counts, "Who, what, why…", "action")
    return [a for a in log.actions if (not states or str(a.state) in states) and matches(a, sought)]


def one(action: Action) -> None:
    """One action whole, under a link of its own."""
    with st.container(border=True):
        under_way.line(action, now)
        st.caption(
            f"{words.plain(action.verb)} on {words.plain(action.target)} · {words.plain(action.actor)} as"
            f" {action.role} · began {words.clock_time(action.begun)} · id {action.action_id} ·"
            f" reason: {words.plain(action.reason or 'none given')} · coverage {coverage(action) or 'not concerned'}"
        )
        for at, sentence in action.steps:
            st.caption(f"{words.exact_time(at)} · {words.plain(sentence)}")
        if "dropped_from_ms" in action.facts:
            actions.offer(UNDO_DROP, "Bring the tables back", key=action.action_id, action_id=action.action_id)
        undo, states = TAKEN_BACK_BY.get(action.verb, (None, ()))
        if undo is not None and action.state in states:
            actions.offer(undo, undo.label, key=action.action_id, action_id=action.action_id)
        if action.verb.startswith("scaling.") and action.verb != RESTORE.name and action.state is State.DONE:
            actions.offer(RESTORE, "Restore the normal width", key=action.action_id)
        with st.expander("The plan as it was shown, and the state after"):
            actions.show_plan(action.plan, key=action.action_id)
            st.json(dict(action.facts), expanded=False)


def show(log: Log) -> None:
    open_ones = [action for action in log.actions if action.quiet(now)]
    headline = f"{words.many(len(log.actions), 'action')} in {under_way.LOOK_BACK.days} days"
    if open_ones:
        widgets.verdict(Health.UNKNOWN, f"{len(open_ones)} of {headline} have no outcome", [])
    elif log.actions:
        widgets.verdict(Health.OK, f"{headline}, each with its outcome", [])
    else:
        widgets.verdict(Health.NONE_EXPECTED, f"Nothing was done in {under_way.LOOK_BACK.days} days", [])
        st.caption(
            f"What an {Role.OPERATOR} does with a button is kept here: who, why, before, after, what came of it."
        )
    asked = st.query_params.get(ACTION)
    chosen = next((action for action in log.actions if action.action_id == asked), None)
    if asked and chosen is None:
        st.caption("The action in the address is not in this log.")
    if chosen is not None:
        one(chosen)
    if log.actions:
        rows = [{**as_row(action), "link": f"?action={action.action_id}"} for action in choose(log)]
        record = st.column_config.LinkColumn("record", display_text="open")
        tables.table(rows, name="actions", alt="Actions", empty="No action matches.", link=record)
    widgets.footer((log.source,), now)


log = widgets.known(under_way.read_log(), "The action log")
if log is not None:
    show(log)
