"""What is being done, by whom, how far; what just ended; and what somebody began and nobody finished. Told from the record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import streamlit as st

from app.components import text_format as words
from app.state import reads, session
from services.action_registry import verb_of
from services.actions.background import Ticket
from services.actions.executor import finish
from services.actions.log_reader import Action, Log, State
from services.auth.roles import authorise
from services.core.errors import OnCallError
from services.core.result import Reading

_ENDED, _FOUND = "ended actions", "what finishing found"
LOOK_BACK = timedelta(days=7)
TOLD_FOR = timedelta(minutes=3)  # how long an outcome stays under the page's head
_ICONS = {
    State.UNDER_WAY: ":blue[:material/progress_activity:]",
    State.DONE: ":green[:material/check_circle:]",
    State.FAILED: ":red[:material/error:]",
    State.REFUSED: ":orange[:material/block:]",
    State.DENIED: ":orange[:material/lock:]",
    State.UNVERIFIED: ":violet[:material/help:]",
}


def log_window(now: datetime) -> tuple[datetime, datetime]:
    """The days whose actions are looked at: whole days, so that the question stays the same and its answer is kept."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - LOOK_BACK, today + timedelta(days=1)


def ask() -> Callable[[], Reading[Log]]:
    """Ask for the action log; what is returned waits for it."""
    return reads.actions.begin(session.cloud(), *log_window(session.now()))


def read_log() -> Reading[Log]:
    return ask()()


def strip(asked: Callable[[], Reading[Log]], still: bool = False) -> None:
    """What is being done, by whom, how far; what just ended; what somebody began and nobody finished.

    While `still`, its own lines move but the page does not: Streamlit takes an open dialog off the screen, with what is half
    typed in it, whenever the whole page is drawn anew.
    """
    log = asked()
    known = log.value.actions if log.value else ()
    busy = _under_way(known) or any(not ticket.ended for ticket in tickets().values())
    st.session_state[_ENDED] = _ended(known)

    @st.fragment(run_every="1.5s" if busy and not session.paused() else None, key="strip")
    def live() -> None:
        now = read_log()
        actions = now.value.actions if now.value else ()
        over = busy and not _busy(actions)
        if _ended(actions) != st.session_state[_ENDED]:
            st.session_state[_ENDED], over = _ended(actions), True
            reads.forget(session.cloud())
        if over and not still:
            st.rerun()
        _lines(actions)

    live()


def _busy(actions: Iterable[Action]) -> bool:
    return _under_way(actions) or any(not ticket.ended for ticket in tickets().values())


def _under_way(actions: Iterable[Action]) -> bool:
    now = session.now()
    return any(action.ended is None and not action.quiet(now) for action in actions)


def _ended(actions: Iterable[Action]) -> frozenset[str]:
    return frozenset(action.action_id for action in actions if action.ended is not None)


def tickets() -> dict[str, Ticket]:
    found: dict[str, Ticket] = st.session_state.setdefault("tickets", {})
    return found


def _lines(actions: Iterable[Action]) -> None:
    now = session.now()
    if found := st.session_state.pop(_FOUND, ""):
        st.markdown(f":blue[:material/info:] {words.plain(found)}")
    known = {action.key for action in actions if action.ended is None}
    for ticket in list(tickets().values()):
        if not ticket.ended and ticket.key.split(" ")[0] not in known:
            st.markdown(f"{_ICONS[State.UNDER_WAY]} {words.plain(ticket.title)}: checking once more before it begins…")
        elif ticket.trouble is not None:
            _trouble(ticket)
    for action in actions:
        if action.ended is None or now - action.ended < TOLD_FOR:
            line(action, now)


def line(action: Action, now: datetime) -> None:
    """One action in one line, with the way to its record, and a button where nobody has told its end."""
    says = f"**{words.plain(action.title)}** · {words.plain(action.actor)}, {words.exact_time(action.begun)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if action.quiet(now):
            st.markdown(f":violet[:material/help:] {says} · no outcome is recorded", width="content")
            st.button(
                "Check and finish", key=f"finish {action.action_id}", on_click=_finish, args=(action,), type="tertiary"
            )
        else:
            st.markdown(f"{_ICONS[action.state]} {says} · {words.plain(_told(action))}", width="content")
        query = {**session.link(), "action": action.action_id}
        st.page_link("../pages/action_log.py", label="Record", query_params=query)


def _told(action: Action) -> str:
    """How far an action is: a run by its coordinator's count, anything else by its last step."""
    if action.ended is None and (batch := action.facts.get("batch_id")):
        seen = reads.live(session.cloud(), batch, action.begun).value
        if seen is not None:
            return seen.sentence
    return action.steps[-1][1] if action.ended is None and action.steps else action.sentence


def _trouble(ticket: Ticket) -> None:
    error = ticket.trouble
    if error is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":orange[:material/block:] **{words.plain(ticket.title)}** · {words.plain(error)}", width="content"
        )
        st.button("Dismiss", key=f"dismiss {ticket.key}", on_click=_dismiss, args=(ticket.key,), type="tertiary")


def _dismiss(key: str) -> None:
    tickets().pop(key, None)


def _finish(action: Action) -> None:
    """Re-read what came of an action whose process died, and record it."""
    try:
        authorise(session.actor(), verb_of(action.verb).needs, "finishing an action")
        verdict = finish(session.acting_cloud(), verb_of(action.verb), action)
        st.session_state[_FOUND] = verdict.sentence
    except OnCallError as error:
        st.session_state[_FOUND] = str(error)
    reads.forget(session.cloud())
