"""Actions on the screen: a button asks for a plan, the plan is shown, confirmed in proportion, run once, and followed by its record.

Nothing here decides anything: the plan comes from the verb, the effect runs in the runner, the truth is in the action log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.actions import status_strip as under_way
from app.components import tables
from app.components import text_format as words
from app.state import reads, session
from services.action_registry import verb_of
from services.actions.background import RUNNER
from services.actions.executor import run_action
from services.actions.log_reader import Action
from services.actions.plan import Friction, Guard, Plan
from services.actions.verb import Verb
from services.auth.roles import may
from services.core.errors import OnCallError

_PENDING, _SAID, _REASON, _TYPED = "pending action", "action said", "action reason", "action typed"
_CLICKED = "clicked offer"


@dataclass(frozen=True)
class _Pending:
    """What somebody asked for in this session: a verb with its arguments, and its plan or why there is none."""

    verb: str
    args: Mapping[str, Any]
    plan: Plan | None = None
    trouble: OnCallError | None = None


def offer(verb: Verb, label: str = "", key: str = "", primary: bool = False, help: str = "", **args: Any) -> None:
    """The button of a verb. It opens the plan; for who may not act it says so and opens the plan all the same.

    A click only says which button was meant; what the plan is about is what this run of the page has made of its inputs. What is
    typed in a form and left by clicking its button comes together with the click, after the button was drawn for the old text.
    """
    label, button = label or verb.label, f"offer {verb.name} {key}"
    allowed = may(session.actor(), verb.needs)
    st.button(
        label if allowed else f"Plan: {label}",
        key=button,
        icon=":material/play_circle:" if allowed else ":material/visibility:",
        type="primary" if primary and allowed else "secondary",
        help=help or "Shows the plan first"
        if allowed
        else "You may look at the plan; carrying it out needs an operator",
        on_click=_click,
        args=(button,),
    )
    if st.session_state.get(_CLICKED) == button:
        del st.session_state[_CLICKED]
        _ask(verb.name, args)


def _click(button: str) -> None:
    st.session_state[_CLICKED] = button


def _ask(verb: str, args: Mapping[str, Any]) -> None:
    """Open the plan of a verb in this run of the page."""
    held = st.session_state.get(_PENDING)
    if held is not None and (held.verb, held.args) == (verb, dict(args)):
        return  # a click whose run was overtaken is told once more; what was typed meanwhile stays
    st.session_state[_PENDING] = _Pending(verb, dict(args))
    for key in (_SAID, _REASON, _TYPED):
        st.session_state.pop(key, None)


def dialog() -> None:
    """The plan that was asked for, if one was. Called by the frame after the page, so that it survives every run of it."""
    st.session_state.pop(_CLICKED, None)  # of a button that this run did not draw again: what it was for is gone
    if _PENDING in st.session_state:
        label = verb_of(st.session_state[_PENDING].verb).label
        st.dialog(label, width="large", on_dismiss=_close)(_plan_and_confirm)()


def is_open() -> bool:
    """Whether a plan is being looked at or was asked for by a click: nothing else may turn the page meanwhile."""
    return _PENDING in st.session_state or _CLICKED in st.session_state


def _close() -> None:
    st.session_state.pop(_PENDING, None)


def _look_again() -> None:
    pending = st.session_state[_PENDING]
    st.session_state[_PENDING] = replace(pending, plan=None, trouble=None)


def _plan_and_confirm() -> None:
    pending = st.session_state.get(_PENDING)
    if pending is None:
        st.rerun()
    if pending.plan is None and pending.trouble is None:
        with st.spinner("Reading how things stand…"):
            pending = st.session_state[_PENDING] = _planned(pending)
    if pending.plan is None:
        trouble = pending.trouble or OnCallError("There is no plan.")
        st.markdown(f"#### :violet[:material/help:] {words.plain(trouble.sentence)}")
        st.markdown(words.plain(trouble.remedy))
        st.button("Look again", on_click=_look_again)
        return
    show_plan(pending.plan)
    _confirm(verb_of(pending.verb), pending.plan)


def _planned(pending: _Pending) -> _Pending:
    try:
        return replace(pending, plan=verb_of(pending.verb).plan(session.asking_cloud(), pending.args))
    except OnCallError as error:
        return replace(pending, trouble=error)


def show_plan(plan: Plan, key: str = "") -> None:
    """Everything a plan says: what changes, what stops it, what it costs, how it is undone, how to do it by hand."""
    st.markdown(f"## {words.plain(plan.title)}")
    for guard in plan.blocked:
        st.markdown(f":red[:material/block:] **{words.plain(guard.sentence)}**")
    for caution in plan.cautions:
        st.markdown(f":orange[:material/warning:] {words.plain(caution)}")
    tables.table(
        [{"what": change.what, "before": change.before, "after": change.after} for change in plan.changes],
        name=f"plan-{plan.hash}{key}",
        alt="What changes",
        empty="Nothing would change.",
        height_rows=9,
    )
    st.caption(f":material/undo: {words.plain(plan.undo)}  \n:material/payments: {words.plain(plan.cost)}")
    _fine_print(plan)


def _fine_print(plan: Plan) -> None:
    checked, by_hand = st.columns(2)
    with checked.popover(f"{len(plan.guards)} checks, {len(plan.blocked)} stop it", width="stretch"):
        for guard in plan.guards:
            st.markdown(f"{_mark(guard)} {words.plain(guard.sentence)}")
    with by_hand.popover("Do it by hand", width="stretch"):
        st.code("\n".join(plan.commands), language="bash", wrap_lines=True)


def _mark(guard: Guard) -> str:
    marks = {True: ":green[:material/check:]", False: ":red[:material/block:]", None: ":violet[:material/help:]"}
    return marks[guard.ok]


def _confirm(verb: Verb, plan: Plan) -> None:
    allowed = may(session.actor(), verb.needs)
    typed = plan.friction is Friction.TYPED
    if allowed and not plan.blocked:
        st.text_input("Reason" if typed else "Reason (optional)", key=_REASON, max_chars=300)
        if typed:
            st.text_input(f"Type {plan.typed} to confirm", key=_TYPED)
    if said := st.session_state.get(_SAID):
        st.error(words.plain(said), icon=":material/error:")
    if not allowed:
        st.info(f"You are a {session.actor().role}: carrying this out needs an {verb.needs}.", icon=":material/lock:")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", on_click=_close, key="action cancel")
        st.button(
            words.plain(plan.title),
            type="primary",
            disabled=not allowed or bool(plan.blocked),
            on_click=_go,
            args=(verb, plan),
            key="action confirm",
        )


def _go(verb: Verb, plan: Plan) -> None:
    """Hand the plan that was shown to the runner. A second click finds the first one's ticket."""
    reason, typed = st.session_state.get(_REASON, "") or "", st.session_state.get(_TYPED, "") or ""
    if plan.friction is Friction.TYPED and (not reason.strip() or typed.strip() != plan.typed):
        st.session_state[_SAID] = f"Give a reason and type “{plan.typed}”. Nothing was done."
        return
    cloud, actor, seen = session.acting_cloud(), session.actor(), session.cloud()

    def act() -> Action:
        try:
            return run_action(cloud, actor, verb, plan, reason, typed)
        finally:
            reads.forget(seen)  # whatever came of it, what was read before is old

    ticket = RUNNER.submit(plan, actor.role, cloud.now(), act)
    under_way.tickets()[ticket.key] = ticket
    _close()
