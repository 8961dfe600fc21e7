"""The session: its user, the night shown, and the clients that all sessions share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache

import streamlit as st

from services.auth import sign_in
from services.auth.roles import Actor, Role
from services.core import console_links
from services.core.clock import SystemClock, eastern_day, format_day, to_game_date
from services.core.settings import Settings
from services.gcp.clients import Clients, connect
from services.gcp.read_cache import ReadCache

DATE_PARAM = "date"  # the name in the URL: ?date=2025-12-29
FIRST_PAINT_DELAY_S = 0.1  # a browser on two cores takes some 60 ms from the answer's arrival to its paint
ROLE_KEY = "role"  # the sandbox's role switch
PAUSED_KEY = "paused"  # the pause switch
_PAUSED_SINCE_KEY = "paused since"
_NIGHT_KEY = "night"
_TONIGHT_KEY = "tonight"  # the night that was tonight when this session last looked
_NOTICE_KEY = "date notice"  # why the address named another date than the one shown, and that one
_NIGHT_CHANGE_KEY = "night change"  # from and to, when the page turned to tonight's by itself
_FIRST_PAINT_DONE_KEY = "answered"  # the viewer's browser has been given its first answer
_SIGN_IN_KEY = "signed in"  # the identity that this connection proved


@dataclass(frozen=True)
class ChosenNight:
    """The game date every page shows, and why it is not the requested one, where it is not."""

    game_date: date
    notice: str = ""
    changed_from: date | None = None  # the night shown before, when the page turned to tonight's by itself


# Not a data cache: it only holds the open connections, one per settings, shared by all sessions and reruns; what is read through
# them is cached in Clients.cache. cache_resource is the plainest holder: it serializes the first connection, and a failed one
# is tried again. Settings are hashed whole: Streamlit would hash them value by value, at each of a page's twenty calls.
@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs={Settings: hash})
def _connect_once(settings: Settings, as_operator: bool) -> Clients:
    clients = connect(settings, as_operator)
    if as_operator:
        return replace(clients, cache=_connect_once(settings, False).cache.without_answers())
    return replace(clients, cache=ReadCache(since=clients.now()))


def cached_clients() -> Clients:
    """The clients of the project that the environment names; raises OnCallError when they cannot be opened."""
    return _connect_once(Settings.from_env(), False)


def uncached_clients() -> Clients:
    """The same clients without cached answers: every read goes to Google. Plans are made from them."""
    clients = cached_clients()
    return replace(clients, cache=clients.cache.without_answers())


def operator_clients() -> Clients:
    """Clients of the account with write permissions, without cached answers; only actions use them."""
    settings = Settings.from_env()
    return _connect_once(settings, True) if settings.acting_account else uncached_clients()


def job_url(job_id: str) -> str:
    """A BigQuery job in the Google Cloud console; "" in the sandbox, and while the datasets' location is not known."""
    clients = cached_clients()
    if clients.settings.in_sandbox:
        return ""
    return console_links.job_url(clients.settings, job_id, clients.bigquery.location or "")


def now() -> datetime:
    return cached_clients().now()


def actor() -> Actor:
    """The user; raises Unauthenticated without a proven identity. No one is an operator by default."""
    settings = cached_clients().settings
    sign_in.check_configured(settings, oidc_configured())
    at = SystemClock().now()  # a signature's times are real, whatever night the sandbox shows
    if settings.iap_audience:
        assertions = st.context.headers.get_all(sign_in.IAP_HEADER)
        keys = sign_in.jwks_cache(settings.iap_keys_url)
        st.session_state[_SIGN_IN_KEY] = signed_in = sign_in.authenticate_connection(
            st.session_state.get(_SIGN_IN_KEY), assertions, settings, keys, at
        )
        return sign_in.to_actor(signed_in.identity, settings)
    if oidc_configured():
        return sign_in.to_actor(sign_in.identity_from_oidc(st.user.to_dict(), settings, at), settings)
    return Actor("on-call", Role(st.session_state.get(ROLE_KEY, Role.OPERATOR)))


def role_switch_enabled() -> bool:
    """Whether the role can be switched: only in the sandbox, and only without a sign-in."""
    settings = cached_clients().settings
    return settings.in_sandbox and not settings.iap_audience and not oidc_configured()


@cache
def oidc_configured() -> bool:
    """Whether Streamlit's own sign-in is configured; its secrets are looked up once, as the server does at its start."""
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def read_date(
    date_texts: Sequence[str], at: datetime, first_stored_night: Callable[[date], date | None]
) -> tuple[date | None, str]:
    """The stored date that an address names; None for a malformed, future or unknown one and for several, and why."""
    if len(date_texts) > 1:
        return None, f"The URL names {len(date_texts)} dates."
    try:
        requested = date.fromisoformat(date_texts[0])
    except ValueError:
        requested = None
    if requested is None or requested.isoformat() != date_texts[0]:  # 2025-W01-1 is a date, too
        return None, "Invalid date in the URL (expected YYYY-MM-DD)."
    if requested > eastern_day(at):
        return None, f"{format_day(requested)} is in the future."
    first = first_stored_night(requested)
    if first is not None and requested < first:
        return None, f"No data for {format_day(requested)}; the earliest game date is {format_day(first)}."
    return requested, ""


def parse_night(
    date_texts: Sequence[str], at: datetime, first_stored_night: Callable[[date], date | None]
) -> ChosenNight:
    """The night that the address names; where that cannot be shown tonight, with a notice."""
    requested, reason = read_date(date_texts, at, first_stored_night)
    if requested is not None:
        return ChosenNight(requested)
    tonight = to_game_date(at)
    return ChosenNight(tonight, f"{reason} Showing {format_day(tonight)}.")


def resolve_night(first_stored_night: Callable[[date], date | None], hold: bool = False) -> ChosenNight:
    """The chosen night: from the URL, else the last one of this session, else tonight.

    A page left open on tonight turns to the new night at 06:00 ET, unless it is paused or `hold` is set.
    """
    if not (hold or paused_since()):
        _turn_to_tonight()
    if date_texts := st.query_params.get_all(DATE_PARAM):
        chosen = parse_night(date_texts, now(), first_stored_night)
    else:
        chosen = ChosenNight(st.session_state.get(_NIGHT_KEY) or to_game_date(now()))
    if chosen.notice:
        st.session_state[_NOTICE_KEY] = (chosen.notice, chosen.game_date)
    if date_texts != [chosen.game_date.isoformat()]:
        st.query_params[DATE_PARAM] = chosen.game_date.isoformat()
    st.session_state[_NIGHT_KEY] = chosen.game_date
    notice, noticed_on = st.session_state.get(_NOTICE_KEY, ("", None))
    if noticed_on == chosen.game_date:
        chosen = replace(chosen, notice=notice)
    else:
        dismiss_notice()
    changed_from, changed_to = st.session_state.get(_NIGHT_CHANGE_KEY, (None, None))
    if changed_to == chosen.game_date:
        return replace(chosen, changed_from=changed_from)
    dismiss_night_change()
    return chosen


def _turn_to_tonight() -> None:
    """Show the new night where the one shown was tonight until now; another date was chosen by the user, and stays."""
    before, tonight = st.session_state.get(_TONIGHT_KEY), to_game_date(now())
    st.session_state[_TONIGHT_KEY] = tonight
    if before in (None, tonight):
        return
    if st.session_state.get(_NIGHT_KEY) == before and st.query_params.get(DATE_PARAM) in (None, before.isoformat()):
        set_night(tonight)
        st.session_state[_NIGHT_CHANGE_KEY] = (before, tonight)


def dismiss_notice() -> None:
    """Forget that the address named another date. For callbacks."""
    st.session_state.pop(_NOTICE_KEY, None)


def dismiss_night_change() -> None:
    """Forget that the night changed. For callbacks."""
    st.session_state.pop(_NIGHT_CHANGE_KEY, None)


def set_night(game_date: date) -> None:
    """Show a night on every page; it is in the URL, so a link can be copied. For callbacks."""
    st.query_params[DATE_PARAM] = game_date.isoformat()


def on_date_picked(key: str) -> None:
    """The date picker of this key changed."""
    set_night(st.session_state[key])


def link_params() -> dict[str, str]:
    """The query parameters that a link to another page keeps."""
    return {DATE_PARAM: st.session_state[_NIGHT_KEY].isoformat()}


def log_link_params(preset_name: str) -> dict[str, str]:
    """The query parameters of the logs page for one of its searches, on the chosen night."""
    return {**link_params(), "search": preset_name}


def game_date() -> date:
    """The night that app/main.py has chosen for this page."""
    chosen: date = st.session_state[_NIGHT_KEY]
    return chosen


def yield_for_first_paint() -> None:
    """Let a new browser paint the verdict before it gets the rest, whose scripts it must load first."""
    if not st.session_state.get(_FIRST_PAINT_DONE_KEY):
        st.session_state[_FIRST_PAINT_DONE_KEY] = True
        time.sleep(FIRST_PAINT_DELAY_S)


def paused_since() -> datetime | None:
    """Since when this viewer has paused the page; None while it refreshes."""
    return st.session_state.get(_PAUSED_SINCE_KEY) if st.session_state.get(PAUSED_KEY) else None


def on_pause_toggled() -> None:
    """The pause switch changed. For callbacks."""
    st.session_state[_PAUSED_SINCE_KEY] = now()
