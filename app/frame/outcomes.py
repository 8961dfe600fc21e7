"""What became of actions: a card at the corner as one ends, and a bell that keeps what ended, what runs and what waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.actions import action_feed, dialog
from app.components import text_format
from app.state import session
from services.action_registry import find_undo
from services.actions.background import ActionHandle
from services.actions.log_reader import LOG_WINDOW, Action, ActionLog, ActionState
from services.core.result import Result

CARD_SHOWN_FOR = timedelta(seconds=8)  # as the stylesheet has it, which waits while pointer or focus is in the card
NEWS_FOR = timedelta(seconds=30)  # how long after its end an outcome is news to a session that has not shown it
KEPT_FOR = timedelta(minutes=2)  # how long the card is there for the pointer that has been in it since
LISTED = 8
_SHOWN_KEY = "shown outcomes"  # by id: on which page and when first


@dataclass(frozen=True)
class _Outcome:
    """What a card says. `action` None: it ended before it was recorded, or could not be finished."""

    id: str
    ended_at: datetime
    icon: str
    title: str
    text: str
    action: Action | None = None


def render(
    wait_for_log: Callable[[], Result[ActionLog]], bell: DeltaGenerator, page_title: str, dialog_open: bool
) -> None:
    """Draw the bell and the cards, and look again while something runs.

    With `dialog_open` only they refresh: a rerun of the whole page would close the dialog and lose what is typed.
    """
    log, held_id = wait_for_log().value, action_feed.held_outcome()
    if action_feed.notice_ends(log) and not dialog_open:
        st.rerun()  # before anything is said of them: the page shows what they changed together with their outcome
    was_busy = action_feed.is_busy(_actions(log))

    @st.fragment(run_every="1.5s" if was_busy and not session.paused_since() else None, key="outcomes")
    def poll() -> None:
        log = action_feed.fetch_log().value
        actions = _actions(log)
        has_ended = action_feed.notice_ends(log) or (was_busy and not action_feed.is_busy(actions))
        if has_ended and not dialog_open:
            st.rerun()
        _render_bell(actions)
        _render_cards([action for action in actions if action.action_id != held_id], page_title)
        if dialog.is_dialog_open() and not dialog_open:  # a button of these was pressed: its plan is drawn by the page
            st.rerun()

    with bell:
        poll()


def _actions(log: ActionLog | None) -> Sequence[Action]:
    return log.actions if log else ()


def _starting_handles(actions: Iterable[Action]) -> list[ActionHandle]:
    """What this session has begun and the log does not have yet."""
    logged_keys = {action.key for action in actions if action.ended_at is None}
    handles = action_feed.session_handles().values()
    return [handle for handle in handles if not handle.ended and handle.key.split(" ")[0] not in logged_keys]


def _failed_handles() -> list[ActionHandle]:
    return [handle for handle in action_feed.session_handles().values() if handle.ended and handle.error is not None]


def _render_bell(actions: Sequence[Action]) -> None:
    """What waits for a person, what runs, and what ended last, the newest first."""
    starting, failed = _starting_handles(actions), _failed_handles()
    unfinished = [action for action in actions if action.is_abandoned(session.now())]
    running = [action for action in actions if action.is_running(session.now())]
    waiting_count, running_count = len(unfinished) + len(failed), len(running) + len(starting)
    badge = f" :orange-badge[{waiting_count}]" if waiting_count else ""
    icon = ":material/notifications:"
    if running_count:
        badge, icon = badge + f" :blue-badge[{running_count} running]", ":material/progress_activity:"
    with st.popover(f"Recent actions{badge}", icon=icon, type="tertiary", key="recent-actions"):
        st.markdown("**Recent actions**")
        for handle in failed:
            _render_failed_handle(handle)
        for handle in starting:
            icon = action_feed.ICON_BY_STATE[ActionState.IN_PROGRESS]
            st.markdown(
                f"{icon} **{text_format.escape_markdown(handle.title)}**  \n:gray[:small[Running the checks again…]]"
            )
        ended = [action for action in actions if action.ended_at is not None][:LISTED]
        for action in (*unfinished, *running, *ended):
            action_feed.render_action_line(action, session.now(), place="bell")
        if not (failed or starting or actions):
            st.caption(f"No actions in {LOG_WINDOW.days} days")


def _render_failed_handle(handle: ActionHandle) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        title, error = text_format.escape_markdown(handle.title), text_format.escape_markdown(handle.error)
        st.markdown(f":orange[:material/block:] **{title}**  \n:gray[:small[{error}]]", width="stretch")
        st.button(
            "Dismiss", key=f"dismiss {handle.key}", on_click=action_feed.dismiss, args=(handle.key,), type="tertiary"
        )


def _render_cards(actions: Sequence[Action], page_title: str) -> None:
    """The outcomes that are news, and the newest of them for who does not see it."""
    with st.container(key="outcomes", gap="small"):
        shown = list(_news(actions, page_title))
        spoken = f"{shown[0].title}: {shown[0].text}" if shown else ""
        st.html(f'<div role="status" class="spoken" aria-label="Outcome">{escape(spoken)}</div>')
        for outcome in shown[:3]:
            with st.container(border=True, key=f"outcome-{outcome.id}", gap="xsmall"):
                st.markdown(f"{outcome.icon} **{text_format.escape_markdown(outcome.title)}**")
                st.caption(text_format.escape_markdown(outcome.text))
                if outcome.action is not None:
                    _render_card_buttons(outcome.action, actions)


def _render_card_buttons(action: Action, actions: Sequence[Action]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        action_feed.link_to(action, "View")
        if (undo := find_undo(action, actions, session.now())) is not None:
            dialog.action_button(undo.action_type, "Undo", key=f"outcome {action.action_id}", **undo.args)


def _news(actions: Iterable[Action], page_title: str) -> Iterator[_Outcome]:
    """The newest first: each where it was first shown, and for the rest of its time on the pages that are opened meanwhile."""
    now, shown = session.now(), st.session_state.setdefault(_SHOWN_KEY, {})
    for outcome in sorted(_outcomes(actions), key=lambda outcome: outcome.ended_at, reverse=True):
        age = now - outcome.ended_at
        if outcome.id not in shown and age < NEWS_FOR:
            shown[outcome.id] = (page_title, now)
        page_first, shown_at = shown.get(outcome.id, ("", None))
        if shown_at and age < KEPT_FOR and (page_first == page_title or now - shown_at < CARD_SHOWN_FOR):
            yield outcome


def _outcomes(actions: Iterable[Action]) -> Iterator[_Outcome]:
    for action in actions:
        if action.ended_at is not None:
            icon = action_feed.ICON_BY_STATE[action.state]
            yield _Outcome(action.action_id, action.ended_at, icon, action.title, action.message, action)
    for handle in _failed_handles():  # when one ended is not known: it is news when it is first seen
        _, seen_at = st.session_state[_SHOWN_KEY].get(handle.key, ("", session.now()))
        yield _Outcome(handle.key, seen_at, ":orange[:material/block:]", handle.title, str(handle.error))
    if finished := action_feed.last_finish():
        at, text = finished
        yield _Outcome(f"finish {at:%H%M%S%f}", at, ":blue[:material/info:]", "Check and finish", text)
