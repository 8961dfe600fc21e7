"""“Go to…”: one search over pages, dates, players, batches, alerts, actions and what can be done; and the help on keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from typing import NamedTuple

import streamlit as st

from app.actions import action_feed, dialog
from app.frame.pages import ENTRIES, NAVIGATION
from app.state import reads, session
from services.actions.action_type import ActionType
from services.core.clock import eastern_day, format_day
from services.gcp.clients import Clients
from services.runs.actions import START_RUN
from services.scaling.actions import RESTORE_CAPACITY, SCALE_DOWN

LISTED_DATES, LISTED_ACTIONS = 30, 20
_CHOICE_KEY = "target"
KEYS = {
    "Ctrl + K, ⌘ K": "Go to a page, date, player, batch, alert, action or command",
    "[": "Previous game date",
    "]": "Next game date",
    "r": "Review the re-run of missing players; on a page without one, refresh",
    "?": "This help",
    "Esc": "Close a dialog or menu",
}


class Target(NamedTuple):
    """A choice: its label, and the page that it opens, or the kind of action whose plan it opens."""

    label: str
    title: str = ""
    params: Mapping[str, str] = {}
    action: ActionType | None = None


def render_search_button() -> None:
    """The button of the search, at the top of the sidebar."""
    st.sidebar.button(
        "Go to…",
        icon=":material/search:",
        key="go-to",
        shortcut="Mod+K",
        width="stretch",
        on_click=dialog.open_form,
        args=(_draw_search,),
    )


def render_help_button() -> None:
    """The button of the help, in the sidebar."""
    st.sidebar.button(
        "Help and keyboard shortcuts",
        icon=":material/help:",
        key="help",
        type="tertiary",
        on_click=dialog.open_form,
        args=(_draw_help,),
    )


def _draw_search() -> None:
    @st.dialog("Go to…", width="medium", on_dismiss=dialog.close_form)
    def search() -> None:
        target: Target | None = st.selectbox(
            "Page, date, player, batch, alert, action or command",
            list_targets(session.cached_clients(), session.game_date()),
            index=None,
            format_func=lambda target: target.label,
            placeholder="Type to search",
            key=_CHOICE_KEY,
        )
        if target is not None:
            _go_to(target)

    search()


def _go_to(target: Target) -> None:
    """Open what was chosen. The choice is forgotten with the field."""
    dialog.close_form()
    if target.action is not None:
        dialog.open_plan(target.action, target.label.partition(": ")[2], **target.params)
        st.rerun()
    st.switch_page(ENTRIES[target.title].path, query_params={**session.link_params(), **target.params})


def _draw_help() -> None:
    @st.dialog("Help", width="medium", on_dismiss=dialog.close_form)
    def show_help() -> None:
        st.subheader("Keys", anchor=False)
        st.markdown("\n".join(f"- `{key}` {meaning}" for key, meaning in KEYS.items()))
        st.subheader("Pages", anchor=False)
        entries = (entry for entries in NAVIGATION.values() for entry in entries)
        st.markdown("\n".join(f"- **{entry.title}**: {entry.description}" for entry in entries))

    show_help()


def list_targets(clients: Clients, day: date) -> list[Target]:
    """Everything that can be gone to, of what is read already: nothing is read for it."""
    return [target for source in _SOURCES for target in source(clients, day)]


def _pages(_clients: Clients, _day: date) -> Iterator[Target]:
    for entries in NAVIGATION.values():
        for entry in entries:
            yield Target(f"Page: {entry.title}", entry.title)


def _commands(_clients: Clients, day: date) -> Iterator[Target]:
    yield Target("Command: Re-run missing players", params={"game_date": day.isoformat()}, action=START_RUN)
    yield Target("Command: Reduce workers to the emergency limit", action=SCALE_DOWN)
    yield Target("Command: Restore the normal worker capacity", action=RESTORE_CAPACITY)


def _dates(clients: Clients, _day: date) -> Iterator[Target]:
    last, first = eastern_day(clients.now()), reads.first_night.peek(clients)
    for days in range(LISTED_DATES):
        listed = last - timedelta(days=days)
        if first is None or listed >= first:
            yield Target(f"Date: {format_day(listed)}", "Overview", {session.DATE_PARAM: listed.isoformat()})


def _players(clients: Clients, day: date) -> Iterator[Target]:
    night = reads.night.peek(clients, day)
    for player in sorted(night.players if night else (), key=lambda player: player.player_name):
        yield Target(f"Player: {player.player_name}, {player.team}", "Player", {"player": player.player_lookup})


def _batches(clients: Clients, day: date) -> Iterator[Target]:
    batches = reads.batches.peek(clients, day)
    for batch in batches.batches if batches else ():
        yield Target(f"Batch: {batch.batch_id}", "Runs", {"batch": batch.batch_id})


def _alerts(clients: Clients, _day: date) -> Iterator[Target]:
    alerts = reads.alerts.peek(clients)
    for alert in alerts.open if alerts else ():
        yield Target(f"Alert: {alert.message}", "Alerts", {"alert": alert.alert_id})


def _actions(_clients: Clients, _day: date) -> Iterator[Target]:
    log = action_feed.fetch_log().value
    for action in log.actions[:LISTED_ACTIONS] if log else ():
        yield Target(f"Action: {action.title}, {action.actor}", "Action log", {"action": action.action_id})


_SOURCES: tuple[Callable[[Clients, date], Iterator[Target]], ...] = (
    _pages,
    _commands,
    _dates,
    _players,
    _batches,
    _alerts,
    _actions,
)
