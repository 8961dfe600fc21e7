"""A plan as it is shown: large figures, what changes, what speaks for and against it, checks, undo, cost, CLI command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from app.components import text_format
from app.components.html_table import Column, show_table
from services.actions.plan import Change, Figure, Guard, Plan
from services.core.text import pluralize, to_printable

_CHANGE_COLUMNS = (Column("Change"), Column("Now", grows=True), Column("After"))
MAX_OPEN_CHANGES = 8  # changes of a list that are shown without opening it
MAX_LISTED_CHANGES = 50  # rows of an opened list; search finds the others
MAX_PASSED_CHECKS = 12
MAX_REASONS = 3  # different states before the change, named in the list's head
PREVIEW_NAMES = 5
_MARK_BY_OK = {True: ("check", "grn", "passed"), False: ("block", "red", "failed"), None: ("help", "vio", "unknown")}
SKELETON = (
    '<div class="plan-figures skeleton" role="status" aria-label="Preparing plan…">'
    + "<div><small>Preparing plan…</small><b></b><i></i></div>"
    + "<div><small></small><b></b><i></i></div>" * 2
    + "</div>"
)


def show_plan(plan: Plan, key: str = "") -> None:
    """A plan in full. `key` sets the widgets of several plans on one page apart."""
    key = f"{plan.hash}{key}"
    st.html(_figures_html(plan.figures) or "<div></div>")
    for guard in plan.failed_guards:
        st.error(f"**Blocked:** {text_format.escape_markdown(guard.message)}", icon=":material/block:")
    if plan.warnings:
        st.warning(_as_list(plan.warnings), icon=":material/warning:")
    if plan.evidence:
        st.markdown(f":green[:material/check:] {'; '.join(map(text_format.escape_markdown, plan.evidence))}")
    _show_changes(plan, key)
    st.html(_checks_html(plan.guards))
    _show_details(plan)


def _as_list(sentences: Sequence[str]) -> str:
    lines = [text_format.escape_markdown(sentence) for sentence in sentences]
    return lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)


def _figures_html(figures: Iterable[Figure]) -> str:
    """The figures side by side, each before → after, as HTML; empty without any."""
    cells = [
        f"<div><small>{_text(figure.label)}</small><p>"
        + (f"<span>{_text(figure.before)}</span> → " if figure.before != figure.after else "")
        + f"<b>{_text(figure.after)}</b></p><small>{_text(figure.note)}</small></div>"
        for figure in figures
    ]
    return f'<div class="plan-figures">{"".join(cells)}</div>' if cells else ""


def _text(value: str) -> str:
    return escape(to_printable(value))


def _show_changes(plan: Plan, key: str) -> None:
    if not plan.changes:
        if not plan.figures:
            st.caption("Nothing would change.")
        return
    if len(plan.changes) <= MAX_OPEN_CHANGES:
        _show_rows(plan.changes)
        return
    with st.expander(_list_head(plan), key=f"plan list {key}"):
        _show_list(plan, key)
    st.caption(text_format.escape_markdown(_preview(plan.changes)))


def _list_head(plan: Plan) -> str:
    """How many things change, and how they are now where only few states occur: "90 players · write rejected"."""
    states = Counter(change.before for change in plan.changes)
    head = f"**{pluralize(len(plan.changes), plan.item or 'change')}**"
    if len(states) > MAX_REASONS:
        return head
    parts = (state if len(states) == 1 else f"{count:,} {state}" for state, count in states.most_common())
    return f"{head} · {', '.join(map(text_format.escape_markdown, parts))}"


def _preview(changes: Sequence[Change]) -> str:
    names = ", ".join(change.what for change in changes[:PREVIEW_NAMES])
    return f"{names} and {len(changes) - PREVIEW_NAMES:,} more"


def _show_list(plan: Plan, key: str) -> None:
    query = st.text_input(
        "Search", placeholder=f"Find a {plan.item or 'change'}", key=f"plan find {key}", label_visibility="collapsed"
    )
    terms = (query or "").lower().split()
    found = [c for c in plan.changes if all(term in f"{c.what} {c.before} {c.after}".lower() for term in terms)]
    _show_rows(found[:MAX_LISTED_CHANGES])
    if (more := len(found) - MAX_LISTED_CHANGES) > 0:
        st.caption(f"{more:,} more: search finds them.")


def _show_rows(changes: Sequence[Change]) -> None:
    rows = [(change.what, change.before, change.after) for change in changes]
    show_table(_CHANGE_COLUMNS, rows, alt="Changes", empty="No matches.")


def _checks_html(guards: Sequence[Guard]) -> str:
    """Each check with its result, those that stop the plan first; of very many that passed only the first."""
    failed = [guard for guard in guards if guard.ok is not True]
    passed = [guard for guard in guards if guard.ok is True]
    title = (
        f'<b class="red-t">{len(failed)} of {len(guards)} checks failed – blocked</b>'
        if failed
        else f'<b class="grn-t">{pluralize(len(guards), "check")} passed</b>'
    )
    rest = len(passed) - MAX_PASSED_CHECKS
    more = f"<small>and {rest:,} more that passed</small>" if rest > 0 else ""
    items = "".join(_check_html(guard) for guard in [*failed, *passed[:MAX_PASSED_CHECKS]])
    return f'<div class="plan-checks">{title}<ul>{items}</ul>{more}</div>'


def _check_html(guard: Guard) -> str:
    icon, color, word = _MARK_BY_OK[guard.ok]
    return (
        f'<li><i class="ms {color}-t" aria-hidden="true">{icon}</i><span class="sr">{word}: </span>'
        f"<span>{_text(guard.name[:1].upper() + guard.name[1:])}</span><small>{_text(guard.message)}</small></li>"
    )


def _show_details(plan: Plan) -> None:
    texts = {"Undo": plan.undo, "Cost": plan.cost}
    labels = [label for label, text in texts.items() if text] + (["CLI"] if plan.commands else [])
    for label, tab in zip(labels, st.tabs(labels), strict=True):
        if label == "CLI":
            tab.code("\n".join(plan.commands), language="bash", wrap_lines=True)
        else:
            tab.markdown(text_format.escape_markdown(texts[label]))
