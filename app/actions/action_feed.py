"""What is being done and was done lately, by anybody: read from the action log, with what this session has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import streamlit as st

from app.components import text_format
from app.state import reads, session
from services.action_registry import changed_sources, get_action_type
from services.actions.background import ActionHandle
from services.actions.executor import recover
from services.actions.log_reader import Action, ActionLog, ActionState, recent_window
from services.auth.roles import require_role
from services.core.errors import OnCallError
from services.core.result import Result
from services.runs.actions import START_RUN

_LAST_FINISH_KEY = "last finish"  # when an action was last checked and finished by this session, and what came of it
_HANDLES_KEY = "action handles"
_ENDED_IDS_KEY = "ended actions"
_HELD_ID_KEY = "held outcome"
ICON_BY_STATE = {
    ActionState.IN_PROGRESS: ":blue[:material/progress_activity:]",
    ActionState.DONE: ":green[:material/check_circle:]",
    ActionState.FAILED: ":red[:material/error:]",
    ActionState.REFUSED: ":orange[:material/block:]",
    ActionState.DENIED: ":orange[:material/lock:]",
    ActionState.UNVERIFIED: ":violet[:material/help:]",
}


def log_window(now: datetime) -> tuple[datetime, datetime]:
    """The days whose actions are read."""
    return recent_window(now)


def fetch_log_async() -> Callable[[], Result[ActionLog]]:
    """Start reading the action log; the returned function waits for it."""
    return reads.action_log.fetch_async(session.cached_clients(), *log_window(session.now()))


def fetch_log() -> Result[ActionLog]:
    return fetch_log_async()()


def is_busy(actions: Iterable[Action]) -> bool:
    """Whether an action is running, of anybody or of this session."""
    return any(action.is_running(session.now()) for action in actions) or any(
        not handle.ended for handle in session_handles().values()
    )


def session_handles() -> dict[str, ActionHandle]:
    stored: dict[str, ActionHandle] = st.session_state.setdefault(_HANDLES_KEY, {})
    return stored


def notice_ends(log: ActionLog | None) -> bool:
    """Read again what actions have changed that ended since this session looked last; whether there were any."""
    if log is None:
        return False
    known: frozenset[str] | None = st.session_state.get(_ENDED_IDS_KEY)
    ended = [action for action in log.actions if action.ended_at is not None]
    st.session_state[_ENDED_IDS_KEY] = frozenset(action.action_id for action in ended)
    new = [action for action in ended if known is not None and action.action_id not in known]
    if new:
        reads.forget_after(session.cached_clients(), *new)
    return bool(new)


def has_unnoticed_end(log: ActionLog | None) -> bool:
    """Whether an action has ended of which the page may still show what was before."""
    known: frozenset[str] | None = st.session_state.get(_ENDED_IDS_KEY)
    return known is not None and any(a.ended_at and a.action_id not in known for a in (log.actions if log else ()))


def hold_outcome(action_id: str) -> None:
    """Say nothing of this action's outcome in this run of the page, which does not show yet what it changed; "" for none."""
    st.session_state[_HELD_ID_KEY] = action_id


def held_outcome() -> str:
    """The action of which this run of the page says nothing yet."""
    return str(st.session_state.pop(_HELD_ID_KEY, ""))


def render_action_line(action: Action, now: datetime, place: str = "") -> None:
    """One action in two lines, with a link to its record, and a button where no outcome is recorded; a page shows it once a `place`."""
    title, actor = text_format.escape_markdown(action.title), text_format.escape_markdown(action.actor)
    is_abandoned = action.is_abandoned(now)
    icon = ":violet[:material/help:]" if is_abandoned else ICON_BY_STATE[action.state]
    text = "no outcome is recorded" if is_abandoned else progress_text(action)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        st.markdown(
            f"{icon} **{title}**  \n:gray[:small[{actor}, {text_format.format_exact_time(action.started_at)}"
            f" · {text_format.escape_markdown(text)}]]",
            width="stretch",
        )
        if is_abandoned:
            st.button(
                "Check and finish",
                key=f"finish {place} {action.action_id}",
                on_click=finish,
                args=(action,),
                type="tertiary",
            )
        link_to(action, "View")


def link_to(action: Action, label: str) -> None:
    """A link to an action's record."""
    query_params = {**session.link_params(), "action": action.action_id}
    st.page_link("../pages/action_log.py", label=label, query_params=query_params)


def progress_text(action: Action) -> str:
    """How far an action is: a run by its coordinator's count, anything else by its last step."""
    if action.ended_at is None and (batch_id := action.facts.get("batch_id")):
        began = action.started_at if action.action_name == START_RUN.name else None  # the others join a batch that runs
        progress = reads.run_progress(session.cached_clients(), batch_id, began).value
        if progress is not None:
            return progress.summary
    return action.steps[-1][1] if action.ended_at is None and action.steps else action.message


def dismiss(key: str) -> None:
    """Forget an action of this session that had no outcome of its own. For callbacks."""
    session_handles().pop(key, None)


def finish(action: Action) -> None:
    """Re-read the outcome of an action whose process died, and record it."""
    try:
        require_role(session.actor(), get_action_type(action.action_name).required_role, "finishing an action")
        verification = recover(session.operator_clients(), get_action_type(action.action_name), action)
        message = verification.message
    except OnCallError as error:
        message = str(error)
    st.session_state[_LAST_FINISH_KEY] = session.now(), message
    reads.forget(session.cached_clients(), changed_sources(action.action_name))


def last_finish() -> tuple[datetime, str] | None:
    """When this session last checked and finished an action, and what came of it."""
    last: tuple[datetime, str] | None = st.session_state.get(_LAST_FINISH_KEY)
    return last
