"""The sidebar: links to the pages with what waits behind each, the time, the environment, the user, and the pause switch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from html import escape

import streamlit as st

from app.charts.html_parts import icon
from app.components import text_format
from app.components.widgets import page_href
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


# What waits behind a page, and its badge's class in app/http/style.css; red only where predictions are missing or an alert is open.
COUNTS: dict[str, tuple[Callable[[Clients, date], int | None], str]] = {
    "missing_players": (count_missing_players, "red"),
    "staging_tables": (count_unmerged_tables, "amb"),
    "player_names": (count_unmatched_names, "amb"),
    "alerts": (count_open_alerts, "red"),
}
LINK_PX, SECTION_PX = 30, 32  # as in app/http/style.css: the list has its room while its script is still on its way


class Links:
    """The links to the pages, one list. It is drawn before the page, and once more after it if what it has read changes a count.

    The script of app/http/index_page.py opens them without loading the app anew.
    """

    def __init__(self, current_title: str, day: date) -> None:
        self._current_title, self._day, self._html = current_title, day, ""

    def render(self) -> None:
        """Draw the list."""
        self._html = self._to_html()
        height = LINK_PX * sum(map(len, NAVIGATION.values())) + SECTION_PX * sum(map(bool, NAVIGATION))
        with st.sidebar.container(key="pages", height=height, border=False):
            self._element = st.html(self._html)

    def update_counts(self) -> None:
        """Draw the list again where a count has changed."""
        if (html := self._to_html()) != self._html:
            self._element.html(html)

    def _to_html(self) -> str:
        return nav_html(self._current_title, self._count)

    def _count(self, name: str) -> int | None:
        return COUNTS[name][0](session.cached_clients(), self._day) if name in COUNTS else None


def nav_html(current_title: str, count_of: Callable[[str], int | None]) -> str:
    """The list of pages, those of a section under its name."""
    return f'<nav class="pages" aria-label="Pages">{"".join(_sections_html(current_title, count_of))}</nav>'


def _sections_html(current_title: str, count_of: Callable[[str], int | None]) -> Iterator[str]:
    for section, entries in NAVIGATION.items():
        label_id = f"pages-{section.lower().replace(' ', '-')}"
        items = "".join(_link_html(entry, entry.title == current_title, count_of(entry.name)) for entry in entries)
        if section:
            yield f'<p id="{label_id}">{escape(section)}</p><ul aria-labelledby="{label_id}">{items}</ul>'
        else:
            yield f"<ul>{items}</ul>"


def _link_html(entry: Entry, is_current: bool, count: int | None) -> str:
    current = ' aria-current="page"' if is_current else ""
    badge = f' <b class="{COUNTS[entry.name][1]}">{count:,}</b>' if count else ""
    return (
        f'<li><a href="{escape(page_href(entry.name))}"{current}>{icon(entry.icon)}'
        f"<span>{escape(entry.title)}</span>{badge}</a></li>"
    )


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
