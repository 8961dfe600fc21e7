"""The form of a log filter of one's own: its parts are offered, what is typed is kept, and a short one is in the address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from urllib.parse import urlencode

import streamlit as st

from app.components import text_format, widgets
from app.components.text_field import over_limit
from app.state import reads, session
from services.core import console_links
from services.core.clock import ET, night_window
from services.core.errors import InvalidInput
from services.gcp.clients import Clients
from services.telemetry import log_search
from services.telemetry.log_reader import SEVERITIES
from services.telemetry.log_search import MAX_OWN_CHARS, SOURCES, SOURCES_BY_NAME, LogSearch

OWN = "Own filter"
TIMES = ("game date", "last hour", "from – to")
FILTER_KEY, _ADDED_KEY = "own_filter", "added part"
MAX_LINK_CHARS = 2_000  # a longer filter is in no address: browsers and proxies cut it
_PARTS: dict[str, Callable[[str], str]] = {
    "service": log_search.of_service,
    "severity ≥": log_search.at_least,
    "text": log_search.with_text,
    "batch": log_search.of_batch,
    "revision": log_search.of_revision,
    "status ≥ 400": lambda _: log_search.FAILED_REQUESTS,
}


def choose_search(clients: Clients, game_date: date) -> LogSearch | None:
    """The search that the form describes; None after saying, in one sentence, why there is none."""
    st.session_state.setdefault(FILTER_KEY, st.query_params.get(FILTER_KEY, "")[:MAX_LINK_CHARS])
    with st.container(key="log-form"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            source_name = st.selectbox("Log of", list(SOURCES_BY_NAME), key="log_of", bind="query-params", width=200)
            times = widgets.segmented_choice("Time", TIMES, "log_time")
            start, end = _choose_times(times, clients.now(), game_date)
        st.text_area(
            "Filter, in Cloud Logging's query language",
            key=FILTER_KEY,
            height=100,
            placeholder='severity>=ERROR AND textPayload:"MERGE"',
            on_change=_keep_in_address,
        )
        _offer_parts(clients, game_date)
    text = st.session_state[FILTER_KEY]
    search = LogSearch(text, SOURCES_BY_NAME.get(source_name, SOURCES[0]), start, end)
    problem = over_limit(len(text), MAX_OWN_CHARS) or _problem(search)
    if problem:
        st.error(text_format.escape_markdown(problem), icon=":material/error:")
    return None if problem else search


def _problem(search: LogSearch) -> str:
    try:
        search.to_filter()
    except InvalidInput as error:
        return str(error)
    return ""


def _choose_times(choice: str, now: datetime, game_date: date) -> tuple[datetime, datetime]:
    """The time that is searched; the last hour ends with the minute, so that the same search is read once."""
    if choice == TIMES[0]:
        return night_window(game_date)
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    if choice == TIMES[1]:
        return minute - timedelta(hours=1), minute
    today = now.astimezone(ET).date()
    return (
        _choose_instant("Start", "log_from", today - timedelta(days=1), time_of_day(18), today),
        _choose_instant("End", "log_to", today, time_of_day(6), today),
    )


def _choose_instant(label: str, key: str, day: date, at: time_of_day, today: date) -> datetime:
    chosen = st.date_input(f"{label} date", day, max_value=today, key=key, bind="query-params", width=170)
    clock = st.time_input(f"{label} time (ET)", at, key=f"{key}_at", bind="query-params", step=300, width=120)
    return datetime.combine(chosen, clock, ET)


def _keep_in_address() -> None:
    text = st.session_state[FILTER_KEY]
    if text and len(text) <= MAX_LINK_CHARS:
        st.query_params[FILTER_KEY] = text
    else:
        st.query_params.pop(FILTER_KEY, None)


def _offer_parts(clients: Clients, game_date: date) -> None:
    """Adds a condition of a chosen kind to what is typed."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="log-parts"):
        kind = st.selectbox("Add", list(_PARTS), key="part kind", width=140)
        value: str | None = None
        if kind != "status ≥ 400":
            options = _known_values(clients, game_date, kind)
            value = st.selectbox(
                "Value",
                options,
                index=None,
                accept_new_options=True,
                key=f"part {kind}",
                width=340,
                placeholder="choose or type",
            )
        st.button("Add condition", icon=":material/add:", on_click=_add, args=(kind, (value or "").strip()))
        st.button("Search", type="primary")


def _add(kind: str, value: str) -> None:
    if value or kind == "status ≥ 400":
        try:
            st.session_state[FILTER_KEY] = log_search.add_clause(st.session_state[FILTER_KEY], _PARTS[kind](value))
        except InvalidInput:
            return  # the filter's own problem is said below it
        _keep_in_address()


def _known_values(clients: Clients, game_date: date, kind: str) -> Sequence[str]:
    """What other pages have read of this kind lately; anything else can be typed."""
    settings = clients.settings
    if kind == "service":
        return [settings.worker_service, settings.coordinator_service]
    if kind == "severity ≥":
        return [name for name in reversed(SEVERITIES) if name != "DEFAULT"]
    if kind == "batch":
        batches = reads.batches.peek(clients, game_date)
        return [batch.batch_id for batch in batches.batches] if batches else []
    deploys = reads.deploys.peek(clients) if kind == "revision" else None
    return [deploy.revision for deploy in deploys.deploys] if deploys else []


def _time_params() -> dict[str, str]:
    """The address's parameters of the chosen time."""
    choice = st.session_state.get("log_time") or TIMES[0]
    chosen = {"log_time": choice}
    for key in ("log_from", "log_to") if choice == TIMES[2] else ():
        chosen |= {key: f"{st.session_state[key]:%Y-%m-%d}", f"{key}_at": f"{st.session_state[f'{key}_at']:%H:%M}"}
    return chosen


def show_commands(clients: Clients, search: LogSearch) -> None:
    """The same search with gcloud, in the terminal, as a link, and in the Google Cloud console."""
    settings = clients.settings
    with st.expander("Link and commands", key="log commands", on_change="rerun") as commands:
        if not commands.open:
            return
        if len(search.text) <= MAX_LINK_CHARS:
            params = {**session.link_params(), "search": OWN, "log_of": search.source.name, FILTER_KEY: search.text}
            st.code(
                f"{settings.dashboard_url}/logs?{urlencode(params | _time_params())}", language=None, wrap_lines=True
            )
        else:
            st.caption(f"A filter of more than {MAX_LINK_CHARS:,} characters has no link.")
        st.code(search.command(settings), language="bash", wrap_lines=True)
        query = log_search.scoped_filter(search.text, search.source).removesuffix(" AND ")
        if url := console_links.logs_url(settings, query, search.start, search.end):
            st.link_button("Open in Google Cloud", url, icon=":material/open_in_new:", type="tertiary")
