"""The sidebar: links to the pages with what waits behind each, the time, the environment, the user, and the pause switch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components import text_format
from app.frame.pages import NAVIGATION, Entry
from app.state import reads, session
from services.auth.roles import Role
from services.core.clock import format_eastern
from services.gcp.clients import Clients
from services.nights.coverage import funnel
from services.nights.player_stages import Stage


def count_missing_players(clients: Clients, day: date) -> int | None:
    """Eligible players without active predictions; None while that is unknown, or the night was not run yet."""
    night = reads.night.peek(clients, day)
    if night is None or not night.was_run:
        return None
    players = funnel(night).players
    eligible, active = players[Stage.ELIGIBLE], players[Stage.ACTIVE]
    return None if eligible is None or active is None else eligible - active


def count_unmerged_tables(clients: Clients, _day: date) -> int | None:
    """Staging tables with rows that are nowhere else."""
    inventory = reads.staging.peek(clients)
    return None if inventory is None else sum(bool(t.unmerged_rows) and not t.is_copy for t in inventory.tables)


def count_unmatched_names(clients: Clients, day: date) -> int | None:
    """Names with odds that are not in context."""
    night = reads.night.peek(clients, day)
    return None if night is None else sum(bool(p.has_odds) and not p.in_context for p in night.players)


def count_open_alerts(clients: Clients, _day: date) -> int | None:
    """Alerts of any date that have not ended."""
    alerts = reads.alerts.peek(clients)
    return None if alerts is None else len(alerts.open)


# What waits behind a page, and its badge's colour; red only where predictions are missing or an alert is open.
COUNTS: dict[str, tuple[Callable[[Clients, date], int | None], str]] = {
    "missing_players": (count_missing_players, "red"),
    "staging_tables": (count_unmerged_tables, "orange"),
    "player_names": (count_unmatched_names, "orange"),
    "alerts": (count_open_alerts, "red"),
}


class Links:
    """The links to the pages. They are drawn before the page, and the counts once more after it, from what it has read."""

    def __init__(self, pages: dict[str, st.Page], current: st.Page, day: date) -> None:
        # A page that was opened by a former address is the current one under that address.
        self._pages, self._day, self._labels = {**pages, current.title: current}, day, dict[str, str]()
        self._places = dict[str, DeltaGenerator]()

    def render(self) -> None:
        """Draw every link, those of a section under its name."""
        with st.sidebar.container(key="pages", gap=None):
            for section, entries in NAVIGATION.items():
                if section:
                    st.caption(section)
                for entry in entries:
                    if entry.name in COUNTS:
                        self._places[entry.name] = st.empty()
                    self._draw(entry)

    def update_counts(self) -> None:
        """Draw again the links whose counts the page has changed."""
        for entries in NAVIGATION.values():
            for entry in entries:
                if entry.name in COUNTS:
                    self._draw(entry)

    def _draw(self, entry: Entry) -> None:
        label = entry.title + self._badge(entry.name)
        if self._labels.get(entry.name) != label:
            self._labels[entry.name] = label
            self._places.get(entry.name, st).page_link(
                self._pages.get(entry.title, entry.path),
                label=label,
                icon=f":material/{entry.icon}:",
                width="stretch",
                query_params=session.link_params(),
            )

    def _badge(self, name: str) -> str:
        if name not in COUNTS:
            return ""
        count_for, color = COUNTS[name]
        count = count_for(session.cached_clients(), self._day)
        return f" :{color}-badge[{count:,}]" if count else ""


def render_footer() -> None:
    """The current time, the environment and the user."""
    clients, actor, now = session.cached_clients(), session.actor(), session.now()
    environment = "Sandbox" if clients.settings.in_sandbox else clients.settings.project
    with st.sidebar.container(key="footer", gap="xsmall"):
        st.caption(
            f":material/schedule: {format_eastern(now, '%a %-d %b, %H:%M')} · {now:%H:%M} UTC  \n"
            f":material/cloud: {text_format.escape_markdown(environment)}  \n"
            f":material/person: {text_format.escape_markdown(actor.name)} · {actor.role}"
        )
        st.toggle(
            "Pause auto-refresh",
            key=session.PAUSED_KEY,
            on_change=session.on_pause_toggled,
            help="Data stays as it is until you resume.",
        )
        if session.role_switch_enabled():
            st.segmented_control(
                "View as (sandbox only)", list(Role), default=Role.OPERATOR, key=session.ROLE_KEY, required=True
            )
