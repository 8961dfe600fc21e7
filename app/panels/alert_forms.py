"""The dialogs that silence or resolve an alert: the reason and, for a silence, how long. What is typed is kept until it is used."""

from __future__ import annotations

from functools import partial

import streamlit as st

from app.actions import dialog
from app.actions.submit import submit_plan
from app.components import text_format
from app.components.text_field import limited_text_field
from app.state import session
from services.actions.action_type import ActionType
from services.actions.plan import Params
from services.alerts.actions import MAX_REASON, SILENCE, plan_transition
from services.alerts.alert_log import Alert
from services.auth.roles import has_role

_DURATIONS_MIN = {"15 min": 15, "1 h": 60, "4 h": 240, "24 h": 1440}
_DRAFTS_KEY, _ERROR_KEY = "alert reasons", "alert form error"
_REASON_KEY, _DURATION_KEY = "alert reason", "alert duration"


def form_button(action_type: ActionType, alert: Alert) -> None:
    """The button that opens the form of SILENCE or RESOLVE; nothing for a viewer."""
    if has_role(session.actor(), action_type.required_role):
        st.button(
            f"{action_type.label}…",
            key=f"open {action_type.name} {alert.alert_id}",
            on_click=_open,
            args=(action_type, alert),
        )


def _open(action_type: ActionType, alert: Alert) -> None:
    st.session_state[_REASON_KEY] = _drafts().get(alert.alert_id, "")
    st.session_state.pop(_ERROR_KEY, None)
    title = f"{action_type.label} {alert.alert_id}"
    dialog.open_form(partial(st.dialog(title, dismissible=False)(_form), action_type, alert))


def _form(action_type: ActionType, alert: Alert) -> None:
    if not dialog.is_dialog_open():
        st.rerun()
    st.markdown(text_format.escape_markdown(alert.message))
    reason, too_long = limited_text_field("Reason", MAX_REASON, key=_REASON_KEY)
    _drafts()[alert.alert_id] = reason
    if action_type is SILENCE:
        st.segmented_control("Duration", list(_DURATIONS_MIN), default="1 h", key=_DURATION_KEY, required=True)
    plan = plan_transition(action_type.name, alert, session.now(), _args(action_type))
    notifications = plan.changes[-1]
    effect = f"Notifications: {notifications.before} → {notifications.after}"
    st.caption("  \n".join(text_format.escape_markdown(text) for text in (effect, *plan.warnings)))
    if error := st.session_state.get(_ERROR_KEY):
        st.markdown(f":red[:material/error: {text_format.escape_markdown(error)}]")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="alert form cancel", on_click=dialog.close_form)
        label = f"{action_type.label} for {st.session_state[_DURATION_KEY]}" if action_type is SILENCE else plan.title
        st.button(
            label,
            type="primary",
            key="alert form confirm",
            disabled=bool(too_long),
            on_click=_submit,
            args=(action_type, alert),
        )


def _args(action_type: ActionType) -> Params:
    duration = {"minutes": _DURATIONS_MIN[st.session_state[_DURATION_KEY]]} if action_type is SILENCE else {}
    return {"why": st.session_state[_REASON_KEY].strip(), **duration}


def _submit(action_type: ActionType, alert: Alert) -> None:
    plan = plan_transition(action_type.name, alert, session.now(), _args(action_type))
    if plan.failed_guards:
        st.session_state[_ERROR_KEY] = plan.failed_guards[0].message
        return
    submit_plan(action_type, plan, reason=plan.args["why"])
    _drafts().pop(alert.alert_id, None)
    dialog.close_form()


def _drafts() -> dict[str, str]:
    drafts: dict[str, str] = st.session_state.setdefault(_DRAFTS_KEY, {})
    return drafts
