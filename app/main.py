"""The frame around every page: sidebar, header, what is being done, and the page itself.

`python -m app.server` serves it.
"""

from __future__ import annotations

import logging
from functools import partial

import streamlit as st

from app.actions import action_feed, dialog
from app.components import widgets
from app.frame import outcomes, palette, sidebar
from app.frame.header import Header
from app.frame.pages import ENTRIES, build_alternatives, build_pages
from app.http.index_page import APP_TITLE
from app.state import background_cache, page_sources, reads, session
from services.auth.sign_in import Unauthenticated
from services.core.errors import OnCallError

_RUN_COUNT_KEY = "run count"
_TICKED_RUN_KEY = "run of the last tick"


def apply_theme() -> None:
    """The colours of our stylesheet follow the theme that the viewer has chosen, where it is not the system's."""
    if theme := st.context.theme.type:
        st.html(f"<style>:root {{ color-scheme: {theme} }}</style>")


def auto_refresh() -> None:
    """Rerun every 30 s, every 2 s while a result is missing or stale; not while the viewer has paused the page."""
    if session.paused_since():
        return
    st.session_state[_RUN_COUNT_KEY] = run_count = st.session_state.get(_RUN_COUNT_KEY, 0) + 1

    @st.fragment(run_every="2s" if background_cache.rendered_stale() else "30s", key="pulse")
    def tick() -> None:
        if st.session_state.get(_TICKED_RUN_KEY) == run_count and not dialog.is_dialog_open():
            st.rerun()
        st.session_state[_TICKED_RUN_KEY] = run_count

    tick()


def render_access_denied(error: OnCallError) -> None:
    """The whole page when the dashboard cannot start, or without a proven identity."""
    widgets.render_startup_error(error)
    if isinstance(error, Unauthenticated):
        logging.getLogger(__name__).warning("Turned away: %s", error.message)
        if session.oidc_configured():
            st.button("Sign in", on_click=st.login, type="primary")


st.set_page_config(APP_TITLE, "🏀", layout="wide", initial_sidebar_state=216)
page = st.navigation([*build_pages(), *build_alternatives()], position="hidden")
apply_theme()
try:
    session.actor()
except OnCallError as error:
    render_access_denied(error)
    st.stop()
background_cache.start_render()
page_sources.start()
wait_for_log = action_feed.fetch_log_async()
first_stored_night = partial(reads.first_stored_night, session.cached_clients())
chosen_night = session.resolve_night(first_stored_night, hold=dialog.is_dialog_open())
palette.render_search_button()
links = sidebar.Links(page.title, chosen_night.game_date)
links.render()
header = Header(ENTRIES[page.title], chosen_night)
background_cache.on_slow(header.show_waiting)
page.run()
outcomes.render(wait_for_log, header.bell, page.title, dialog_open=dialog.is_dialog_open())
header.fill()
links.update_counts()
sidebar.render_footer()
palette.render_help_button()
dialog.render_dialog()
if not dialog.is_dialog_open():
    auto_refresh()
