"""A dialog that asks for a text, a reason or a note, and for a duration where there is one, before it does what it is named after.

Nothing typed is lost: a click beside it does not close it, and a text that was not used is there when it is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import streamlit as st

from app.actions import dialog
from app.actions.submit import submit_plan
from app.components import text_format
from app.components.text_field import limited_text_area, limited_text_field
from app.state import session
from services.actions.action_type import ActionType
from services.actions.plan import Params, Plan
from services.auth.roles import has_role
from services.notes.add import MAX_NOTE_LENGTH

MAX_REASON = 300  # characters
_DRAFTS_KEY, _ERROR_KEY = "reason drafts", "reason form error"
_REASON_KEY, _DURATION_KEY = "reason", "duration"


@dataclass(frozen=True)
class ReasonForm:
    """What the dialog is about. `plan` makes the action's plan of what is typed and, with `durations`, `minutes`; it reads nothing.

    What is typed is the argument `why`, a reason; with `is_note` it is `text`, of several lines.
    """

    action_type: ActionType
    title: str
    message: str
    plan: Callable[[Params], Plan]
    durations: Mapping[str, int] = field(default_factory=dict)  # label → minutes
    is_note: bool = False


def form_button(form: ReasonForm, label: str, key: str, type: Literal["secondary", "tertiary"] = "secondary") -> None:
    """The button that opens the dialog; nothing for a viewer."""
    if has_role(session.actor(), form.action_type.required_role):
        st.button(label, key=f"open {key}", type=type, on_click=_open, args=(form, key))


def _open(form: ReasonForm, key: str) -> None:
    st.session_state[_REASON_KEY] = _drafts().get(key, "")
    st.session_state.pop(_ERROR_KEY, None)
    dialog.open_form(partial(st.dialog(form.title, dismissible=False)(_body), form, key))


def _body(form: ReasonForm, key: str) -> None:
    if not dialog.is_dialog_open():
        st.rerun()
    st.markdown(text_format.escape_markdown(form.message))
    if form.is_note:
        reason, too_long = limited_text_area("Note", MAX_NOTE_LENGTH, key=_REASON_KEY)
    else:
        reason, too_long = limited_text_field("Reason", MAX_REASON, key=_REASON_KEY)
    _drafts()[key] = reason
    label = form.action_type.label
    if form.durations:
        duration = st.segmented_control(
            "Duration", list(form.durations), default="1 h", key=_DURATION_KEY, required=True
        )
        label = f"{label} for {duration}"
    st.caption("  \n".join(map(text_format.escape_markdown, _effects(form))))
    if error := st.session_state.get(_ERROR_KEY):
        st.markdown(f":red[:material/error: {text_format.escape_markdown(error)}]")
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.button("Cancel", key="reason form cancel", on_click=dialog.close_form)
        st.button(
            label,
            type="primary",
            key="reason form confirm",
            disabled=bool(too_long),
            on_click=_submit,
            args=(form, key),
        )


def _effects(form: ReasonForm) -> tuple[str, ...]:
    """What it changes, and the warnings of its plan."""
    plan = form.plan(_typed(form))
    if form.is_note:
        return (plan.undo,)
    return (*(f"{change.what}: {change.before} → {change.after}" for change in plan.changes[-1:]), *plan.warnings)


def _typed(form: ReasonForm) -> Params:
    duration = {"minutes": form.durations[st.session_state[_DURATION_KEY]]} if form.durations else {}
    return {"text" if form.is_note else "why": st.session_state[_REASON_KEY].strip(), **duration}


def _submit(form: ReasonForm, key: str) -> None:
    plan = form.plan(_typed(form))
    if plan.failed_guards:
        st.session_state[_ERROR_KEY] = plan.failed_guards[0].message
        return
    submit_plan(form.action_type, plan, reason=plan.args.get("why", ""))
    _drafts().pop(key, None)
    dialog.close_form()


def _drafts() -> dict[str, str]:
    drafts: dict[str, str] = st.session_state.setdefault(_DRAFTS_KEY, {})
    return drafts
