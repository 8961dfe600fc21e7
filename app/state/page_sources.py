"""What the page that is being rendered was made from: its sources and the log searches about it, for the header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import streamlit as st

from services.core.result import DataSource

_KEY = "page sources"


@dataclass
class PageSources:
    """The sources of a page, each read once, and the parameters of its log searches by their names."""

    sources: set[DataSource] = field(default_factory=set)
    log_searches: dict[str, Mapping[str, str]] = field(default_factory=dict)


def start() -> None:
    """A page begins to render."""
    st.session_state[_KEY] = PageSources()


def current() -> PageSources:
    """Those of the page that is being rendered."""
    sources: PageSources = st.session_state.setdefault(_KEY, PageSources())
    return sources


def register(sources: Iterable[DataSource], log_params: Mapping[str, str] | None = None) -> None:
    """Add what a panel was made from."""
    page = current()
    page.sources.update(sources)
    if log_params is not None:
        page.log_searches[log_params["search"]] = log_params
