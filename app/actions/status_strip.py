"""The strip under the page header: running, just ended and abandoned actions, read from the action log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import streamlit as st

from app.components import text_format
from app.state import reads, session
from services.action_registry import changed_sources, get_action_type
from services.actions.background import ActionHandle
from services.actions.executor import recover
from services.actions.log_reader import Action, ActionLog, ActionState
from services.auth.roles import require_role
from services.core.errors import OnCallError
from services.core.result import Result
from services.runs.actions import START_RUN

_ENDED_IDS_KEY = "ended actions"
_FINISH_MESSAGE_KEY = "finish message"
_HANDLES_KEY = "action handles"
LOG_WINDOW = timedelta(days=7)
OUTCOME_SHOWN_FOR = timedelta(minutes=3)  # how long an outcome stays in the strip
_ICON_BY_STATE = {
    ActionState.IN_PROGRESS: ":blue[:material/progress_activity:]",
    ActionState.DONE: ":green[:material/check_circle:]",
    ActionState.FAILED: ":red[:material/error:]",
    ActionState.REFUSED: ":orange[:material/block:]",
    ActionState.DENIED: ":orange[:material/lock:]",
    ActionState.UNVERIFIED: ":violet[:material/help:]",
}


def log_window(now: datetime) -> tuple[datetime, datetime]:
    """The days whose actions are read: whole days, so that the arguments stay the same and the result stays cached."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - LOG_WINDOW, today + timedelta(days=1)


def fetch_log_async() -> Callable[[], Result[ActionLog]]:
    """Start reading the action log; the returned function waits for it."""
    return reads.action_log.fetch_async(session.cached_clients(), *log_window(session.now()))


def fetch_log() -> Result[ActionLog]:
    return fetch_log_async()()


def render_strip(wait_for_log: Callable[[], Result[ActionLog]], dialog_open: bool = False) -> None:
    """Running actions with their progress, those that just ended, and abandoned ones.

    With `dialog_open` only the strip's own lines refresh: a rerun of the whole page would close the dialog and lose what is typed.
    """
    result = wait_for_log()
    logged_actions = result.value.actions if result.value else ()
    was_busy = _is_busy(logged_actions)
    st.session_state[_ENDED_IDS_KEY] = _ended_ids(logged_actions)

    @st.fragment(run_every="1.5s" if was_busy and not session.paused_since() else None, key="strip")
    def poll() -> None:
        latest = fetch_log()
        actions = latest.value.actions if latest.value else ()
        needs_rerun = was_busy and not _is_busy(actions)
        if _ended_ids(actions) != (known_ids := st.session_state[_ENDED_IDS_KEY]):
            st.session_state[_ENDED_IDS_KEY], needs_rerun = _ended_ids(actions), True
            newly_ended = (a for a in actions if a.ended_at is not None and a.action_id not in known_ids)
            reads.forget_after(session.cached_clients(), *newly_ended)
        if needs_rerun and not dialog_open:
            st.rerun()
        _render_lines(actions)

    poll()


def _is_busy(actions: Iterable[Action]) -> bool:
    return _any_running(actions) or any(not handle.ended for handle in session_handles().values())


def _any_running(actions: Iterable[Action]) -> bool:
    now = session.now()
    return any(action.ended_at is None and not action.is_abandoned(now) for action in actions)


def _ended_ids(actions: Iterable[Action]) -> frozenset[str]:
    return frozenset(action.action_id for action in actions if action.ended_at is not None)


def session_handles() -> dict[str, ActionHandle]:
    stored: dict[str, ActionHandle] = st.session_state.setdefault(_HANDLES_KEY, {})
    return stored


def _render_lines(actions: Iterable[Action]) -> None:
    now = session.now()
    if message := st.session_state.pop(_FINISH_MESSAGE_KEY, ""):
        st.markdown(f":blue[:material/info:] {text_format.escape_markdown(message)}")
    logged_keys = {action.key for action in actions if action.ended_at is None}
    for handle in list(session_handles().values()):
        if not handle.ended and handle.key.split(" ")[0] not in logged_keys:
            st.markdown(
                f"{_ICON_BY_STATE[ActionState.IN_PROGRESS]} {text_format.escape_markdown(handle.title)}:"
                " checking once more before it begins…"
            )
        elif handle.error is not None:
            _render_failed_handle(handle)
    for action in actions:
        if action.ended_at is None or now - action.ended_at < OUTCOME_SHOWN_FOR:
            render_action_line(action, now)


def render_action_line(action: Action, now: datetime) -> None:
    """One action in one line, with a link to its record, and a button where no outcome is recorded."""
    title, actor = text_format.escape_markdown(action.title), text_format.escape_markdown(action.actor)
    summary = f"**{title}** · {actor}, {text_format.format_exact_time(action.started_at)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if action.is_abandoned(now):
            st.markdown(f":violet[:material/help:] {summary} · no outcome is recorded", width="content")
            st.button(
                "Check and finish", key=f"finish {action.action_id}", on_click=_finish, args=(action,), type="tertiary"
            )
        else:
            st.markdown(
                f"{_ICON_BY_STATE[action.state]} {summary} · {text_format.escape_markdown(_progress_text(action))}",
                width="content",
            )
        query_params = {**session.link_params(), "action": action.action_id}
        st.page_link("../pages/action_log.py", label="Record", query_params=query_params)


def _progress_text(action: Action) -> str:
    """How far an action is: a run by its coordinator's count, anything else by its last step."""
    if action.ended_at is None and (batch_id := action.facts.get("batch_id")):
        began = action.started_at if action.action_name == START_RUN.name else None  # the others join a batch that runs
        progress = reads.run_progress(session.cached_clients(), batch_id, began).value
        if progress is not None:
            return progress.summary
    return action.steps[-1][1] if action.ended_at is None and action.steps else action.message


def _render_failed_handle(handle: ActionHandle) -> None:
    error = handle.error
    if error is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":orange[:material/block:] **{text_format.escape_markdown(handle.title)}** · {text_format.escape_markdown(error)}",
            width="content",
        )
        st.button("Dismiss", key=f"dismiss {handle.key}", on_click=_dismiss, args=(handle.key,), type="tertiary")


def _dismiss(key: str) -> None:
    session_handles().pop(key, None)


def _finish(action: Action) -> None:
    """Re-read the outcome of an action whose process died, and record it."""
    try:
        require_role(session.actor(), get_action_type(action.action_name).required_role, "finishing an action")
        verification = recover(session.operator_clients(), get_action_type(action.action_name), action)
        st.session_state[_FINISH_MESSAGE_KEY] = verification.message
    except OnCallError as error:
        st.session_state[_FINISH_MESSAGE_KEY] = str(error)
    reads.forget(session.cached_clients(), changed_sources(action.action_name))
