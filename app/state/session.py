"""Who is looking, which night they mean, and the doors to the cloud, opened once for everybody."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

import streamlit as st

from services.auth import sign_in as identity
from services.auth.roles import Actor, Role
from services.core.clock import SystemClock, eastern_day, night_of
from services.core.settings import Settings
from services.gcp.clients import Cloud, connect
from services.gcp.read_cache import Kept

DATE = "date"  # the name in the URL: ?date=2025-12-29
PAINT_S = 0.1  # a browser on two cores takes some 60 ms from the answer's arrival to its paint
ROLE = "role"  # the sandbox's role switch
PAUSED = "paused"  # the pause switch
_SINCE = "paused since"
_NIGHT = "night"  # the date picker's key
_ANSWERED = "answered"  # the viewer's browser has been given its first answer
_SIGNED_IN = "signed in"  # the identity that this connection proved


@dataclass(frozen=True)
class ChosenNight:
    """The game date every page shows, and why it is not the one that was asked for, if so."""

    game_date: date
    notice: str = ""


# Streamlit would take the settings apart, value by value, at each of a page's twenty calls.
@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs={Settings: hash})
def _open(settings: Settings, acting: bool) -> Cloud:
    opened = connect(settings, acting)
    return opened if acting else replace(opened, kept=Kept(since=opened.now()))


def cloud() -> Cloud:
    """The doors to the cloud that the environment names; raises OnCallError when they cannot be opened."""
    return _open(Settings.from_env(), False)


def asking_cloud() -> Cloud:
    """The same doors without memory: every question is put anew. Plans are made from it."""
    return replace(cloud(), kept=None)


def acting_cloud() -> Cloud:
    """The same doors, opened as the account that may change things, without memory; only actions go through them."""
    settings = Settings.from_env()
    return _open(settings, True) if settings.acting_account else asking_cloud()


def now() -> datetime:
    return cloud().now()


def actor() -> Actor:
    """Who is looking; raises NotSignedIn when nobody proved it. Nobody is an operator by default."""
    settings = cloud().settings
    identity.check_configured(settings, oidc())
    at = SystemClock().now()  # a signature's times are real, whatever night the sandbox shows
    if settings.iap_audience:
        told = st.context.headers.get_all(identity.ASSERTION)
        keys = identity.key_ring(settings.iap_keys_url)
        st.session_state[_SIGNED_IN] = known = identity.sign_in(
            st.session_state.get(_SIGNED_IN), told, settings, keys, at
        )
        return identity.actor_of(known.identity, settings)
    if oidc():
        return identity.actor_of(identity.from_oidc(st.user.to_dict(), at), settings)
    return Actor("on-call", Role(st.session_state.get(ROLE, Role.OPERATOR)))


def chooses_role() -> bool:
    """Whether one may look as somebody else: only in the sandbox, and only where nobody signs in."""
    settings = cloud().settings
    return settings.in_sandbox and not settings.iap_audience and not oidc()


def oidc() -> bool:
    """Whether Streamlit's own sign-in is configured."""
    return bool(st.secrets.load_if_toml_exists()) and "auth" in st.secrets


def choose(asked: str, at: datetime, first_stored: Callable[[date], date | None]) -> ChosenNight:
    """The night that `asked` names; a malformed, future or unknown one falls back to tonight, with a sentence."""
    tonight = night_of(at)
    instead = f"Showing {day(tonight)} instead."
    try:
        wanted = date.fromisoformat(asked)
    except ValueError:
        return ChosenNight(tonight, f"The date in the address is not written as 2025-12-29. {instead}")
    if wanted > eastern_day(at):
        return ChosenNight(tonight, f"{day(wanted)} has not come yet. {instead}")
    first = first_stored(wanted)
    if first is not None and wanted < first:
        return ChosenNight(tonight, f"Nothing is stored for {day(wanted)}: the first night is {day(first)}. {instead}")
    return ChosenNight(wanted)


def night(first_stored: Callable[[date], date | None]) -> ChosenNight:
    """The chosen night: what the URL names, else what this session last looked at, else tonight."""
    asked = st.query_params.get(DATE)
    if asked is not None:
        chosen = choose(asked, now(), first_stored)
    else:
        chosen = ChosenNight(st.session_state.get(_NIGHT) or night_of(now()))
        st.query_params[DATE] = chosen.game_date.isoformat()
    st.session_state[_NIGHT] = chosen.game_date
    return chosen


def go_to(game_date: date) -> None:
    """Turn every page to a night; the URL tells it, so it can be copied. For callbacks."""
    st.query_params[DATE] = game_date.isoformat()


def picked() -> None:
    """The date picker changed."""
    go_to(st.session_state[_NIGHT])


def link() -> dict[str, str]:
    """The URL's parameters that a link to another page takes along."""
    return {DATE: st.session_state[_NIGHT].isoformat()}


def log(search: str) -> dict[str, str]:
    """The URL's parameters of the logs page with one of its searches, on the chosen night."""
    return {**link(), "search": search}


def game_date() -> date:
    """The night the frame has chosen for this page."""
    chosen: date = st.session_state[_NIGHT]
    return chosen


def let_paint() -> None:
    """A browser that is new here paints the answer before it is given the rest, whose scripts it must first load."""
    if not st.session_state.get(_ANSWERED):
        st.session_state[_ANSWERED] = True
        time.sleep(PAINT_S)


def paused() -> datetime | None:
    """Since when this viewer has paused the page; None while it moves."""
    return st.session_state.get(_SINCE) if st.session_state.get(PAUSED) else None


def pause() -> None:
    """The pause switch changed. For callbacks."""
    st.session_state[_SINCE] = now()


def day(of: date) -> str:
    """A date as people say it: Mon 29 Dec 2025."""
    return f"{of:%a} {of.day} {of:%b %Y}"
