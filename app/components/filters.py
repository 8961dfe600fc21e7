"""Filters of a table, kept in the URL so that a link opens the same view; invalid values in it are ignored."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app.components.text_field import over_limit

MAX_QUERY = 100  # characters


def filter_pills(label: str, counts: Mapping[str, int], name: str) -> list[str]:
    """The selected kinds, none meaning all; `name` is the key and the query parameter.

    Streamlit's own binding would write the counts into the URL, where they are wrong a minute later.
    """
    requested = st.query_params.get_all(name)
    valid = [kind for kind in requested if kind in counts]
    if requested != valid:
        _write_query_param(name, valid)

    def changed() -> None:
        _write_query_param(name, st.session_state[name])

    return st.pills(
        label,
        list(counts),
        selection_mode="multi",
        default=valid,
        format_func=lambda kind: f"{kind} · {counts[kind]:,}",
        key=name,
        on_change=changed,
        label_visibility="collapsed",
        wrap=True,
    )


def _write_query_param(name: str, kinds: list[str]) -> None:
    if kinds:
        st.query_params[name] = kinds
    else:
        st.query_params.pop(name, None)


def search_terms(placeholder: str, name: str) -> list[str]:
    """The search terms, in lower case; a row must contain every one.

    A longer text than MAX_QUERY stays in its field and is counted; nothing is searched then, and that is said.
    """
    query = st.text_input(
        "Search", placeholder=placeholder, key=name, bind="query-params", label_visibility="collapsed"
    )
    if problem := over_limit(len(query or ""), MAX_QUERY):
        st.markdown(f":red[:material/error: {problem} All rows are shown.]")
        return []
    return (query or "").lower().split()


def matches_search(table_row: Mapping[str, object], terms: list[str]) -> bool:
    """Whether each term occurs in some cell of the row, in any case."""
    text = " ".join(str(value) for value in table_row.values()).lower()
    return all(term in text for term in terms)


def filter_bar(label: str, counts: Mapping[str, int], placeholder: str, name: str) -> tuple[list[str], list[str]]:
    """Filter pills on the left, a search field on the right: the same on every page."""
    left, right = st.columns([3, 1], vertical_alignment="center")
    with left:
        kinds = filter_pills(label, counts, f"{name}_kind")
    with right:
        terms = search_terms(placeholder, f"{name}_find")
    return kinds, terms
