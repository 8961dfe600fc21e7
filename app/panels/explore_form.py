"""The form of the page Explore: what is counted, by what, when and of whom. All of it is in the address; what cannot be is dropped."""

from __future__ import annotations

import shlex
from datetime import date, timedelta
from urllib.parse import urlencode

import streamlit as st

from app.components import text_format, widgets
from app.state import session
from services.core.errors import InvalidInput
from services.explore.look import DEFAULT_DAYS, MAX_BY, Look, make_look
from services.explore.subjects import SUBJECTS, SUBJECTS_BY_NAME, Subject

DEFAULT_BY = ("date", "system")
_BY, _ACTIVE = "by", {"both": "", "active": "yes", "inactive": "no"}


def choose_look(tonight: date) -> Look | None:
    """The look that the form describes; None after saying, in one sentence, why there is none."""
    with st.container(key="explore-form"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            subject = SUBJECTS_BY_NAME[widgets.segmented_choice("Count", [s.name for s in SUBJECTS], "count")]
            by = _choose_by(subject)
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            first, last = _choose_dates(tonight)
            filters = {name: _text_filter(name) for name in subject.filters if name != "active"}
            if "active" in subject.filters:
                filters["active"] = _ACTIVE[widgets.segmented_choice("Active", list(_ACTIVE), "active")]
    try:
        return make_look(subject, by, first, last, **filters)
    except InvalidInput as error:
        st.error(text_format.escape_markdown(f"{error.message} {error.hint}"), icon=":material/error:")
        return None


def _choose_by(subject: Subject) -> tuple[str, ...]:
    """What to count by, in the order of the choices; it is in the address for each subject alike."""
    key = f"{_BY} {subject.name}"
    requested = st.query_params.get_all(_BY)
    valid = [name for name in subject.dimensions if name in requested][:MAX_BY]
    if requested and requested != valid:
        _write(valid)
    default = valid or [name for name in DEFAULT_BY if name in subject.dimensions]
    chosen = st.pills(
        "By",
        subject.dimensions,
        selection_mode="multi",
        default=default,
        key=key,
        on_change=lambda: _write(st.session_state[key]),
        label_visibility="collapsed",
    )
    return tuple(name for name in subject.dimensions if name in chosen)


def _write(names: list[str]) -> None:
    st.query_params[_BY] = names


def _choose_dates(tonight: date) -> tuple[date, date]:
    first = st.date_input(
        "From",
        tonight - timedelta(days=DEFAULT_DAYS - 1),
        max_value=tonight,
        key="from",
        bind="query-params",
        width=170,
    )
    last = st.date_input("To", tonight, max_value=tonight, key="to", bind="query-params", width=170)
    return first, last


def _text_filter(name: str) -> str:
    placeholder = {"player": "all players", "system": "all systems", "batch": "all batches"}[name]
    text = st.text_input(name.capitalize(), key=f"of_{name}", bind="query-params", placeholder=placeholder, width=170)
    return (text or "").strip()


def show_link(look: Look) -> None:
    """The address of a look with all of its choices, and the command that counts the same."""
    filters = {name: getattr(look, name) for name in look.subject.filters if getattr(look, name)}
    active = next(word for word, value in _ACTIVE.items() if value == look.active)
    params = {
        "count": look.subject.name,
        _BY: look.by,
        "from": look.first.isoformat(),
        "to": look.last.isoformat(),
        **{f"of_{name}": value for name, value in filters.items() if name != "active"},
        **({"active": active} if look.active else {}),
    }
    url = f"{session.cached_clients().settings.dashboard_url}/explore?{urlencode(params, doseq=True)}"
    options = {"by": ",".join(look.by), "from": look.first.isoformat(), "to": look.last.isoformat(), **filters}
    words = [
        "oncall",
        "count",
        look.subject.name,
        *(w for name, value in options.items() for w in (f"--{name}", value)),
    ]
    with st.popover("Link", icon=":material/link:", type="tertiary"):
        st.code(url, language=None, wrap_lines=True)
        st.code(shlex.join(words), language="bash", wrap_lines=True)
