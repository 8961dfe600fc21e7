"""The frame around every page: where to go, which night, what time it is, and the page itself.

`python -m app.server` serves it.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.actions import dialog as actions
from app.actions import status_strip as under_way
from app.components import text_format as words
from app.components import widgets
from app.http.index_page import NAME
from app.state import background_cache as patience
from app.state import reads, session
from services.auth.roles import Role
from services.auth.sign_in import NotSignedIn
from services.core.clock import ET, eastern_day
from services.core.errors import OnCallError

PAGES = {
    "Tonight": [
        ("overview", "Overview", "nights_stay", "Is tonight all right? If not, where was it lost?"),
    ],
    "Where it was lost": [
        ("coverage", "Coverage", "monitoring", "Where were players lost, by date?"),
        ("missing_players", "Missing players", "person_search", "Who is missing, and at which stage was each lost?"),
        ("dml_errors", "DML errors", "sync_problem", "How many writes fail, against which limit?"),
    ],
    "What to repair": [
        ("staging_tables", "Staging tables", "table_rows", "What did runs leave behind, and what still hangs on it?"),
        ("concurrency", "Concurrency", "tune", "How wide are the workers, against what the table admits?"),
        ("runs", "Runs", "directions_run", "Which batches ran, how far is each, and what do their sums prove?"),
    ],
    "Who is who": [
        ("aliases", "Aliases", "badge", "Which names of the odds meet no player, and whom do they mean?"),
    ],
    "What was done": [
        ("alerts", "Alerts", "notifications", "What is wrong, who was told, who has taken it?"),
        ("logs", "Logs", "article", "What did the services say?"),
        ("action_log", "Action log", "history", "Who did what, why, and what came of it?"),
        ("doctor", "Connections", "cable", "Does the desk reach everything it stands on? If not, what repairs it?"),
        ("handoff_note", "Handoff note", "description", "What must whoever comes next know?"),
    ],
}


HOME = "tonight"  # Streamlit serves its default page at /; /overview must open it as well
QUESTIONS = {title: question for pages in PAGES.values() for _, title, _, question in pages}


def navigation() -> st.Page:
    """Every page under its section; the file's name is its URL."""
    return st.navigation(
        {
            section: [
                st.Page(
                    f"../pages/{name}.py",
                    title=title,
                    icon=f":material/{icon}:",
                    url_path=HOME if name == "overview" else name,
                    default=name == "overview",
                )
                for name, title, icon, _ in pages
            ]
            for section, pages in PAGES.items()
        }
        | {"": [st.Page("../pages/overview.py", title="Overview", url_path="overview", visibility="hidden")]},
        expanded=True,
    )


def head(page: st.Page, chosen: session.ChosenNight) -> DeltaGenerator:
    """The page's name and the night it shows; what is returned is the place for the steps to other nights."""
    title, night = st.columns([3, 2], vertical_alignment="center")
    # The pause is told in a line that is there anyway: a new one would make the tables below forget their order.
    since = session.paused()
    paused = f" :orange-badge[:material/pause_circle: paused since {words.clock_time(since)}]" if since else ""
    name = f"##### {page.title} :gray[· {session.day(chosen.game_date)}]{paused}"
    title.markdown(name, help=QUESTIONS[page.title])
    if chosen.notice:
        st.warning(chosen.notice, icon=":material/event_busy:")
    return night.container(
        horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall", key="nights"
    )


def choose_night(day: date) -> None:
    today = eastern_day(session.now())
    step(":material/chevron_left:", "The night before", day - timedelta(days=1), disabled=False)
    st.date_input(
        "Night",
        key="night",
        max_value=today,
        on_change=session.picked,
        label_visibility="collapsed",
        width=132,
        format="YYYY-MM-DD",
    )
    step(":material/chevron_right:", "The night after", day + timedelta(days=1), disabled=day >= today)


def step(icon: str, meaning: str, to: object, disabled: bool) -> None:
    st.button(icon, key=meaning, help=meaning, on_click=session.go_to, args=(to,), disabled=disabled, type="tertiary")


def foot() -> None:
    """Who is looking, at what, and what time it is there."""
    cloud, actor, now = session.cloud(), session.actor(), session.now()
    where = "Sandbox" if cloud.settings.in_sandbox else cloud.settings.project
    st.sidebar.caption(
        f":material/schedule: {now.astimezone(ET):%a %H:%M} ET · {now:%H:%M} UTC  \n"
        f":material/cloud: {words.plain(where)}  \n"
        f":material/person: {words.plain(actor.name)} · {actor.role}"
    )
    st.sidebar.toggle(
        "Pause", key=session.PAUSED, on_change=session.pause, help="Nothing on the page moves until it is switched off"
    )
    if session.chooses_role():
        st.sidebar.segmented_control(
            "Look as", list(Role), default=Role.OPERATOR, key=session.ROLE, required=True, help="Only in the sandbox"
        )


def bill() -> None:
    """What looking has cost, whoever looked."""
    kept = session.cloud().kept
    if kept is not None:
        cost, reads_now = kept.bill, kept.log_reads()
        st.caption(
            f":small[:material/payments: all viewers since {words.clock_time(cost.since)}:"
            f" {words.size(cost.bytes_billed)} billed in {words.many(cost.queries, 'query', 'queries')}"
            f" · {words.many(reads_now, 'log read')} in the last minute]"
        )


def pulse() -> None:
    """Look again every half minute, sooner where an answer is still to come; nobody reloads at 2 a.m.

    Not while somebody has paused it to read.
    """
    if session.paused():
        return
    st.session_state["runs"] = drawn = st.session_state.get("runs", 0) + 1

    @st.fragment(run_every="2s" if patience.waits() else "30s", key="pulse")
    def beat() -> None:
        if st.session_state.get("beats") == drawn and not actions.is_open():
            st.rerun()
        st.session_state["beats"] = drawn

    beat()


def turned_away(error: OnCallError) -> None:
    """The whole page when the desk cannot start, or when nobody is proven to be looking."""
    widgets.calm(error)
    if isinstance(error, NotSignedIn):
        logging.getLogger(__name__).warning("Turned away: %s", error.sentence)
        if session.oidc():
            st.button("Sign in", on_click=st.login, type="primary")


st.set_page_config(NAME, "🏀", layout="wide", initial_sidebar_state=210)
page = navigation()
try:
    session.actor()
except OnCallError as error:
    turned_away(error)
    st.stop()
patience.new_page()
log = under_way.ask()
chosen = session.night(partial(reads.first_stored, session.cloud()))
steps = head(page, chosen)
under_way.strip(log, still=actions.is_open())
page.run()
# What needs scripts of its own comes when the answer stands: a browser that is new here loads them one after another.
with steps:
    choose_night(chosen.game_date)
foot()
bill()
actions.dialog()
if not actions.is_open():
    pulse()
