"""The dialog of an action: a button opens its plan, the plan is confirmed in proportion to its risk, and runs once.

Nothing is decided here: the plan comes from the action type, services/actions/background.py runs it, the action log has the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from app.actions import plan_view
from app.actions.submit import submit_plan
from app.components import text_format
from app.state import session
from services.action_registry import get_action_type
from services.actions.action_type import ActionType
from services.actions.plan import MAX_REASON_LENGTH, TITLE_SEPARATOR, Confirmation, Plan
from services.auth.roles import has_role
from services.core.errors import OnCallError

WIDTH_PX = 752
_PENDING_KEY = "pending action"
_ERROR_KEY = "action error"
_REASON_KEY = "action reason"
_PICKED_REASON_KEY = "action picked reason"
_CONFIRMATION_KEY = "action typed"
_ASKED_TO_CLOSE_KEY = "action asked to close"
_DISMISSED_KEY = "action dismissed"
_CLICKED_BUTTON_KEY = "clicked offer"
_FORM_KEY = "open form"
_TYPED_KEYS = (_REASON_KEY, _CONFIRMATION_KEY)
QUICK_REASONS = {  # by the first part of an action's name
    "run": ("Rejected writes", "Late odds or lines", "Upstream fix deployed"),
    "staging": ("Failed consolidation", "Cleanup"),
    "scheduler": ("Missed run", "Incident in progress", "Incident over"),
    "scaling": ("Rejected writes", "Incident over", "Planned change"),
}


@dataclass(frozen=True)
class _PendingAction:
    """The action requested in this session: its type, arguments and title, and its plan or the reason why there is none."""

    action_name: str
    args: Mapping[str, Any]
    title: str
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
        label if allowed else f"View plan: {label}",
        key=button_key,
        icon=":material/play_circle:" if allowed else ":material/visibility:",
        type="primary" if primary and allowed else "secondary",
        help=help or "Review the plan before anything runs"
        if allowed
        else f"View-only: running this requires the {action_type.required_role} role",
        disabled=disabled,
        on_click=_on_click,
        args=(button_key,),
    )
    if disabled:  # a click that came together with the text that disables it opens nothing
        return
    if st.session_state.get(_CLICKED_BUTTON_KEY) == button_key:
        del st.session_state[_CLICKED_BUTTON_KEY]
        _open_dialog(action_type.name, args, label)


def _on_click(button_key: str) -> None:
    st.session_state[_CLICKED_BUTTON_KEY] = button_key


def open_plan(action_type: ActionType, title: str, **args: Any) -> None:
    """Open the plan of an action at the next run of the page, as its button does."""
    _open_dialog(action_type.name, args, title)


def _open_dialog(action_name: str, args: Mapping[str, Any], title: str = "") -> None:
    """Open the plan of an action in this run of the page, under the label of its button."""
    pending = st.session_state.get(_PENDING_KEY)
    if pending is not None and (pending.action_name, pending.args) == (action_name, dict(args)):
        return  # a click whose rerun was interrupted is delivered again; what was typed meanwhile stays
    title = title or get_action_type(action_name).label
    st.session_state[_PENDING_KEY] = _PendingAction(action_name, dict(args), title)
    for key in (_ERROR_KEY, _ASKED_TO_CLOSE_KEY, *_TYPED_KEYS):
        st.session_state.pop(key, None)


def render_dialog() -> None:
    """The dialog of the requested plan, if there is one. Called by main.py after the page, so that it survives every rerun."""
    # A click on a button that this run did not render again: its target is gone.
    st.session_state.pop(_CLICKED_BUTTON_KEY, None)
    st.session_state.pop(_DISMISSED_KEY, None)
    if _FORM_KEY in st.session_state:
        st.session_state[_FORM_KEY]()
    elif (pending := st.session_state.get(_PENDING_KEY)) is not None:
        icon = ":material/play_circle:"
        st.dialog(text_format.escape_markdown(pending.title), width=WIDTH_PX, icon=icon, on_dismiss=_on_dismissed)(
            _dialog_body
        )()


def open_form(draw: Callable[[], None]) -> None:
    """Show another dialog than a plan's, which `draw` opens at every rerun until close_form. For callbacks."""
    st.session_state[_FORM_KEY] = draw


def close_form() -> None:
    """Close the dialog of open_form. For callbacks."""
    st.session_state.pop(_FORM_KEY, None)


def is_dialog_open() -> bool:
    """Whether a plan or a form is open or was requested by a click: no automatic rerun may interrupt it."""
    return any(key in st.session_state for key in (_PENDING_KEY, _CLICKED_BUTTON_KEY, _FORM_KEY))


def _on_dismissed() -> None:
    """The browser has closed the dialog; where something is typed in it, it is drawn again with the question."""
    st.session_state[_DISMISSED_KEY] = True
    _ask_to_close()


def _ask_to_close() -> None:
    """Close the plan, or first ask where something is typed in it."""
    if any((st.session_state.get(key) or "").strip() for key in _TYPED_KEYS):
        st.session_state[_ASKED_TO_CLOSE_KEY] = True
    else:
        _close_dialog()


def _keep_open() -> None:
    st.session_state.pop(_ASKED_TO_CLOSE_KEY, None)


def _close_dialog() -> None:
    st.session_state.pop(_PENDING_KEY, None)


def _replan() -> None:
    pending = st.session_state[_PENDING_KEY]
    st.session_state[_PENDING_KEY] = replace(pending, plan=None, error=None)


def _dialog_body() -> None:
    pending = st.session_state.get(_PENDING_KEY)
    # What was typed last can arrive together with the dismissal. Then only this fragment runs, and it cannot open a closed dialog.
    if pending is None or _DISMISSED_KEY in st.session_state:
        st.rerun()
    head = st.empty()
    if pending.plan is None and pending.error is None:
        head.html(plan_view.SKELETON)
        pending = st.session_state[_PENDING_KEY] = _with_plan(pending)
    if pending.plan is None:
        error = pending.error or OnCallError("The plan could not be built.")
        head.markdown(f"#### :violet[:material/help:] {text_format.escape_markdown(error.message)}")
        st.markdown(text_format.escape_markdown(error.hint))
        st.button("Retry", on_click=_replan)
        return
    action_type, plan = get_action_type(pending.action_name), pending.plan
    head.caption(_subtitle(pending.title, plan))
    plan_view.show_plan(plan)
    _render_confirmation(action_type, plan)


def _with_plan(pending: _PendingAction) -> _PendingAction:
    try:
        return replace(
            pending, plan=get_action_type(pending.action_name).plan(session.uncached_clients(), pending.args)
        )
    except OnCallError as error:
        return replace(pending, error=error)


def _subtitle(title: str, plan: Plan) -> str:
    """What the dialog's title leaves out of the plan's: all of it where the button was about something else."""
    subtitle = plan.title.removeprefix(title).removeprefix(TITLE_SEPARATOR)
    parts = (*((text_format.escape_markdown(subtitle),) if subtitle else ()), "Nothing runs until you confirm.")
    return TITLE_SEPARATOR.join(parts)


def _render_confirmation(action_type: ActionType, plan: Plan) -> None:
    allowed = has_role(session.actor(), action_type.required_role)
    if not allowed:
        st.info(f"You have view-only access. Ask an {action_type.required_role} to run this.", icon=":material/lock:")
    if allowed and not plan.failed_guards:
        _render_fields(plan, QUICK_REASONS.get(action_type.name.partition(".")[0], ()))
    if error_message := st.session_state.get(_ERROR_KEY):
        st.error(text_format.escape_markdown(error_message), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", key="action footer"):
        if st.session_state.get(_ASKED_TO_CLOSE_KEY):
            st.markdown("**Discard what you typed?**", width="stretch")
            st.button("Keep editing", on_click=_keep_open, key="action keep")
            st.button("Discard", on_click=_close_dialog, key="action discard")
            return
        st.caption("Checks run again on confirm.", width="stretch")
        st.button("Cancel", on_click=_ask_to_close, key="action cancel")
        st.button(
            text_format.escape_markdown(plan.operation),
            type="primary",
            disabled=not allowed or bool(plan.failed_guards),
            on_click=_submit,
            args=(action_type, plan),
            key="action confirm",
            shortcut="Mod+Enter",
        )


def _render_fields(plan: Plan, quick_reasons: tuple[str, ...]) -> None:
    """The reason, which is kept whatever its length, and where the plan asks for it the target's name."""
    needs_typing = plan.confirmation is Confirmation.TYPED
    reason = st.text_input("Reason" if needs_typing else "Reason (optional)", key=_REASON_KEY) or ""
    if too_long := _too_long(reason):
        st.markdown(f":red[:material/error: {too_long}]")
    if quick_reasons:
        st.pills(
            "Quick reasons", quick_reasons, key=_PICKED_REASON_KEY, on_change=_pick_reason, label_visibility="collapsed"
        )
    if needs_typing:
        st.text_input(f"Type {plan.confirmation_text} to confirm", key=_CONFIRMATION_KEY)


def _pick_reason() -> None:
    """Add the picked reason to what is typed."""
    picked, typed = st.session_state[_PICKED_REASON_KEY], (st.session_state.get(_REASON_KEY) or "").strip()
    if picked:
        st.session_state[_REASON_KEY] = f"{typed}; {picked}" if typed else picked
    st.session_state[_PICKED_REASON_KEY] = None


def _too_long(reason: str) -> str:
    """Why a reason is not taken as it is; empty when it is."""
    length = len(reason.strip())
    if length <= MAX_REASON_LENGTH:
        return ""
    return f"Reason: {length:,} of {MAX_REASON_LENGTH} characters – shorten it by {length - MAX_REASON_LENGTH:,}."


def _submit(action_type: ActionType, plan: Plan) -> None:
    """Submit the plan that was shown to the background runner. A second click gets the first one's handle."""
    reason = st.session_state.get(_REASON_KEY, "") or ""
    confirmation = st.session_state.get(_CONFIRMATION_KEY, "") or ""
    error_message = _too_long(reason)
    if plan.confirmation is Confirmation.TYPED and (
        not reason.strip() or confirmation.strip() != plan.confirmation_text
    ):
        error_message = f"Enter a reason and type “{plan.confirmation_text}” to confirm."
    if error_message:
        st.session_state[_ERROR_KEY] = error_message
        return
    submit_plan(action_type, plan, reason, confirmation)
    _close_dialog()
