"""The dialog of an action: a button opens its plan, the plan is confirmed in proportion to its risk, and runs once.

Nothing is decided here: the plan comes from the action type, services/actions/background.py runs it, the action log has the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.actions.submit import submit_plan
from app.components import tables, text_format
from app.state import session
from services.action_registry import get_action_type
from services.actions.action_type import ActionType
from services.actions.plan import Confirmation, Guard, Plan
from services.auth.roles import has_role
from services.core.errors import OnCallError

_PENDING_KEY = "pending action"
_ERROR_KEY = "action error"
_REASON_KEY = "action reason"
_CONFIRMATION_KEY = "action typed"
_CLICKED_BUTTON_KEY = "clicked offer"
_FORM_KEY = "open form"


@dataclass(frozen=True)
class _PendingAction:
    """The action requested in this session: its type and arguments, and its plan or the reason why there is none."""

    action_name: str
    args: Mapping[str, Any]
    plan: Plan | None = None
    error: OnCallError | None = None


def action_button(
    action_type: ActionType,
    label: str = "",
    key: str = "",
    primary: bool = False,
    help: str = "",
    disabled: bool = False,
    **args: Any,
) -> None:
    """The button of an action. It opens the plan, also for a viewer, whose button says that it only shows it.

    A click records which button was pressed; the plan is opened by the rerun, with the arguments of that rerun. Text that is typed
    in a form and left by clicking the button arrives together with the click, when the button still has the old arguments.
    """
    label, button_key = label or action_type.label, f"offer {action_type.name} {key}"
    allowed = has_role(session.actor(), action_type.required_role)
    st.button(
        label if allowed else f"Plan: {label}",
        key=button_key,
        icon=":material/play_circle:" if allowed else ":material/visibility:",
        type="primary" if primary and allowed else "secondary",
        help=help or "Shows the plan first"
        if allowed
        else "You may look at the plan; carrying it out needs an operator",
        disabled=disabled,
        on_click=_on_click,
        args=(button_key,),
    )
    if disabled:  # a click that came together with the text that disables it opens nothing
        return
    if st.session_state.get(_CLICKED_BUTTON_KEY) == button_key:
        del st.session_state[_CLICKED_BUTTON_KEY]
        _open_dialog(action_type.name, args)


def _on_click(button_key: str) -> None:
    st.session_state[_CLICKED_BUTTON_KEY] = button_key


def _open_dialog(action_name: str, args: Mapping[str, Any]) -> None:
    """Open the plan of an action in this run of the page."""
    pending = st.session_state.get(_PENDING_KEY)
    if pending is not None and (pending.action_name, pending.args) == (action_name, dict(args)):
        return  # a click whose rerun was interrupted is delivered again; what was typed meanwhile stays
    st.session_state[_PENDING_KEY] = _PendingAction(action_name, dict(args))
    for key in (_ERROR_KEY, _REASON_KEY, _CONFIRMATION_KEY):
        st.session_state.pop(key, None)


def render_dialog() -> None:
    """The dialog of the requested plan, if there is one. Called by main.py after the page, so that it survives every rerun."""
    # A click on a button that this run did not render again: its target is gone.
    st.session_state.pop(_CLICKED_BUTTON_KEY, None)
    if _FORM_KEY in st.session_state:
        st.session_state[_FORM_KEY]()
    elif _PENDING_KEY in st.session_state:
        label = get_action_type(st.session_state[_PENDING_KEY].action_name).label
        st.dialog(label, width="large", on_dismiss=_close_dialog)(_dialog_body)()


def open_form(draw: Callable[[], None]) -> None:
    """Show another dialog than a plan's, which `draw` opens at every rerun until close_form. For callbacks."""
    st.session_state[_FORM_KEY] = draw


def close_form() -> None:
    """Close the dialog of open_form. For callbacks."""
    st.session_state.pop(_FORM_KEY, None)


def is_dialog_open() -> bool:
    """Whether a plan or a form is open or was requested by a click: no automatic rerun may interrupt it."""
    return any(key in st.session_state for key in (_PENDING_KEY, _CLICKED_BUTTON_KEY, _FORM_KEY))


def _close_dialog() -> None:
    st.session_state.pop(_PENDING_KEY, None)


def _replan() -> None:
    pending = st.session_state[_PENDING_KEY]
    st.session_state[_PENDING_KEY] = replace(pending, plan=None, error=None)


def _dialog_body() -> None:
    pending = st.session_state.get(_PENDING_KEY)
    if pending is None:
        st.rerun()
    if pending.plan is None and pending.error is None:
        with st.spinner("Reading how things stand…"):
            pending = st.session_state[_PENDING_KEY] = _with_plan(pending)
    if pending.plan is None:
        error = pending.error or OnCallError("There is no plan.")
        st.markdown(f"#### :violet[:material/help:] {text_format.escape_markdown(error.message)}")
        st.markdown(text_format.escape_markdown(error.hint))
        st.button("Look again", on_click=_replan)
        return
    show_plan(pending.plan)
    _render_confirmation(get_action_type(pending.action_name), pending.plan)


def _with_plan(pending: _PendingAction) -> _PendingAction:
    try:
        return replace(
            pending, plan=get_action_type(pending.action_name).plan(session.uncached_clients(), pending.args)
        )
    except OnCallError as error:
        return replace(pending, error=error)


def show_plan(plan: Plan, key: str = "") -> None:
    """A plan in full: changes, failed checks, cost, undo, CLI command."""
    st.markdown(f"## {text_format.escape_markdown(plan.title)}")
    for guard in plan.failed_guards:
        st.markdown(f":red[:material/block:] **{text_format.escape_markdown(guard.message)}**")
    for warning in plan.warnings:
        st.markdown(f":orange[:material/warning:] {text_format.escape_markdown(warning)}")
    tables.data_grid(
        [{"what": change.what, "before": change.before, "after": change.after} for change in plan.changes],
        name=f"plan-{plan.hash}{key}",
        alt="What changes",
        empty="Nothing would change.",
        height_rows=9,
    )
    st.caption(
        f":material/undo: {text_format.escape_markdown(plan.undo)}  \n:material/payments: {text_format.escape_markdown(plan.cost)}"
    )
    _plan_details(plan)


def _plan_details(plan: Plan) -> None:
    checks_column, commands_column = st.columns(2)
    with checks_column.popover(f"{len(plan.guards)} checks, {len(plan.failed_guards)} stop it", width="stretch"):
        for guard in plan.guards:
            st.markdown(f"{_guard_icon(guard)} {text_format.escape_markdown(guard.message)}")
    if plan.commands:
        with commands_column.popover("Do it by hand", width="stretch"):
            st.code("\n".join(plan.commands), language="bash", wrap_lines=True)


def _guard_icon(guard: Guard) -> str:
    icons = {True: ":green[:material/check:]", False: ":red[:material/block:]", None: ":violet[:material/help:]"}
    return icons[guard.ok]


def _render_confirmation(action_type: ActionType, plan: Plan) -> None:
    allowed = has_role(session.actor(), action_type.required_role)
    needs_typing = plan.confirmation is Confirmation.TYPED
    if allowed and not plan.failed_guards:
        st.text_input("Reason" if needs_typing else "Reason (optional)", key=_REASON_KEY, max_chars=300)
        if needs_typing:
            st.text_input(f"Type {plan.confirmation_text} to confirm", key=_CONFIRMATION_KEY)
    if error_message := st.session_state.get(_ERROR_KEY):
        st.error(text_format.escape_markdown(error_message), icon=":material/error:")
    if not allowed:
        st.info(
            f"You are a {session.actor().role}: carrying this out needs an {action_type.required_role}.",
            icon=":material/lock:",
        )
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", on_click=_close_dialog, key="action cancel")
        st.button(
            text_format.escape_markdown(plan.title),
            type="primary",
            disabled=not allowed or bool(plan.failed_guards),
            on_click=_submit,
            args=(action_type, plan),
            key="action confirm",
        )


def _submit(action_type: ActionType, plan: Plan) -> None:
    """Submit the plan that was shown to the background runner. A second click gets the first one's handle."""
    reason = st.session_state.get(_REASON_KEY, "") or ""
    confirmation = st.session_state.get(_CONFIRMATION_KEY, "") or ""
    if plan.confirmation is Confirmation.TYPED and (
        not reason.strip() or confirmation.strip() != plan.confirmation_text
    ):
        st.session_state[_ERROR_KEY] = f"Give a reason and type “{plan.confirmation_text}”. Nothing was done."
        return
    submit_plan(action_type, plan, reason, confirmation)
    _close_dialog()
