"""The frame around every page: navigation, night picker, time, status strip, and the page itself.

`python -m app.server` serves it.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.actions import dialog, status_strip
from app.components import text_format, widgets
from app.http.index_page import APP_TITLE
from app.state import background_cache, reads, session
from services.auth.roles import Role
from services.auth.sign_in import Unauthenticated
from services.core.clock import eastern_day, format_eastern
from services.core.errors import OnCallError

NAVIGATION = {
    "": [
        ("overview", "Overview", "dark_mode", "Tonight's coverage, active issues and the recommended fix."),
    ],
    "Investigate": [
        ("coverage", "Coverage", "show_chart", "Prediction coverage by game date and pipeline stage."),
        (
            "missing_players",
            "Missing players",
            "person_search",
            "Players without active predictions, with the stage that dropped them.",
        ),
        (
            "dml_errors",
            "DML errors",
            "sync_problem",
            "Rejected BigQuery writes and the concurrency limit they hit.",
        ),
    ],
    "Operate": [
        ("runs", "Runs", "directions_run", "Prediction batches: progress, results and verification."),
        ("staging_tables", "Staging tables", "table_view", "Leftover staging tables and rows not yet consolidated."),
        ("worker_capacity", "Worker capacity", "tune", "Max concurrent writers vs. BigQuery's DML limit."),
    ],
    "Player names": [
        (
            "player_names",
            "Player names",
            "badge",
            "Odds-feed names that match no player, and the aliases that fix them.",
        ),
    ],
    "Activity": [
        ("alerts", "Alerts", "notifications", "Open alerts, notifications and owners."),
        ("action_log", "Action log", "history", "Every change made from this dashboard, with its result."),
        ("shift_handoff", "Shift handoff", "description", "Summary for the next on-call engineer."),
    ],
    "System": [
        ("logs", "Logs", "article", "Service logs for this game date."),
        (
            "system_health",
            "System health",
            "monitor_heart",
            "Checks on every data source and service this dashboard depends on.",
        ),
    ],
}


DEFAULT_URL_PATH = "tonight"  # Streamlit serves its default page at /; /overview must open it as well
# Addresses that open a page without a place in the navigation: former ones, in bookmarks and old notes. Address → (file, title).
ALTERNATIVE_URL_PATHS = {
    "overview": ("overview", "Overview"),
    "concurrency": ("worker_capacity", "Worker capacity"),
    "aliases": ("player_names", "Player names"),
    "handoff_note": ("shift_handoff", "Shift handoff"),
    "connections": ("system_health", "System health"),
    "doctor": ("system_health", "System health"),
}
_RUN_COUNT_KEY = "run count"
_TICKED_RUN_KEY = "run of the last tick"
PAGE_DESCRIPTIONS = {title: question for pages in NAVIGATION.values() for _, title, _, question in pages}


def build_navigation() -> st.Page:
    """Every page under its section; the file's name is its URL."""
    return st.navigation(
        {
            section: [
                st.Page(
                    f"../pages/{name}.py",
                    title=title,
                    icon=f":material/{icon}:",
                    url_path=DEFAULT_URL_PATH if name == "overview" else name,
                    default=name == "overview",
                )
                for name, title, icon, _ in pages
            ]
            for section, pages in NAVIGATION.items()
        }
        | {
            "hidden": [
                st.Page(f"../pages/{name}.py", title=title, url_path=url_path, visibility="hidden")
                for url_path, (name, title) in ALTERNATIVE_URL_PATHS.items()
            ]
        },
        expanded=True,
    )


def render_header(page: st.Page, chosen: session.ChosenNight) -> DeltaGenerator:
    """The page's title and night; returns the container for the night picker."""
    header = st.container(horizontal=True, vertical_alignment="center", key="header")
    # The pause is shown in an existing line: a new one would make the tables below lose their sort order.
    since = session.paused_since()
    paused_badge = (
        f" :orange-badge[:material/pause_circle: paused since {text_format.format_clock_time(since)}]" if since else ""
    )
    heading = f"##### {page.title} :gray[· {session.format_day(chosen.game_date)}]{paused_badge}"
    header.markdown(heading, help=PAGE_DESCRIPTIONS[page.title], width="content")
    if chosen.changed_from:
        with header:
            render_night_change(chosen.game_date, chosen.changed_from)
    if chosen.notice:
        st.warning(chosen.notice, icon=":material/event_busy:")
    return header.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall", key="nights"
    )


def render_night_change(day: date, changed_from: date) -> None:
    """That the page turned to a new night by itself, until it is dismissed; beside it the way back."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f":material/event: Game date changed to {session.format_day(day)} at 06:00 ET", width="content")
        back = f"Show {session.format_day(changed_from)}"
        st.button(back, on_click=session.set_night, args=(changed_from,), type="tertiary")
        st.button(
            ":material/close:",
            key="dismiss night change",
            help="Dismiss",
            on_click=session.dismiss_night_change,
            type="tertiary",
        )


def render_night_picker(day: date) -> None:
    today = eastern_day(session.now())
    night_button(":material/chevron_left:", "The night before", day - timedelta(days=1), disabled=False)
    st.date_input(
        "Night",
        key="night",
        max_value=today,
        on_change=session.on_date_picked,
        label_visibility="collapsed",
        width=132,
        format="YYYY-MM-DD",
    )
    night_button(":material/chevron_right:", "The night after", day + timedelta(days=1), disabled=day >= today)


def night_button(icon: str, label: str, target: object, disabled: bool) -> None:
    st.button(
        icon, key=label, help=label, on_click=session.set_night, args=(target,), disabled=disabled, type="tertiary"
    )


def render_sidebar_footer() -> None:
    """The current time, the environment and the user."""
    clients, actor, now = session.cached_clients(), session.actor(), session.now()
    environment = "Sandbox" if clients.settings.in_sandbox else clients.settings.project
    st.sidebar.caption(
        f":material/schedule: {format_eastern(now, '%a %H:%M')} · {now:%H:%M} UTC  \n"
        f":material/cloud: {text_format.escape_markdown(environment)}  \n"
        f":material/person: {text_format.escape_markdown(actor.name)} · {actor.role}"
    )
    st.sidebar.toggle(
        "Pause",
        key=session.PAUSED_KEY,
        on_change=session.on_pause_toggled,
        help="Nothing on the page moves until it is switched off",
    )
    if session.role_switch_enabled():
        st.sidebar.segmented_control(
            "Look as",
            list(Role),
            default=Role.OPERATOR,
            key=session.ROLE_KEY,
            required=True,
            help="Only in the sandbox",
        )


def render_query_cost() -> None:
    """What all viewers' reads have cost so far."""
    cache = session.cached_clients().cache
    usage, log_reads = cache.usage, cache.log_reads_last_minute()
    st.caption(
        f":small[:material/payments: all viewers since {text_format.format_clock_time(usage.since)}:"
        f" {text_format.format_bytes(usage.bytes_billed)} billed in"
        f" {text_format.pluralize(usage.queries, 'query', 'queries')}"
        f" · {text_format.pluralize(log_reads, 'log read')} in the last minute]"
    )


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
page = build_navigation()
try:
    session.actor()
except OnCallError as error:
    render_access_denied(error)
    st.stop()
background_cache.start_render()
wait_for_log = status_strip.fetch_log_async()
first_stored_night = partial(reads.first_stored_night, session.cached_clients())
chosen_night = session.resolve_night(first_stored_night, hold=dialog.is_dialog_open())
night_picker_slot = render_header(page, chosen_night)
status_strip.render_strip(wait_for_log, dialog_open=dialog.is_dialog_open())
page.run()
# Widgets with scripts of their own come last: a browser without a cache loads them one after another.
with night_picker_slot:
    render_night_picker(chosen_night.game_date)
render_sidebar_footer()
render_query_cost()
dialog.render_dialog()
if not dialog.is_dialog_open():
    auto_refresh()
