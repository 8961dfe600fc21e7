"""Facts in one row: small labels with their values below, as under an incident's headline."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import streamlit as st


def fact_list(facts: Mapping[str, str]) -> None:
    """Each fact's label and value, side by side where there is room; both are shown as they are written."""
    items = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>" for label, value in facts.items())
    st.html(f'<dl class="fact-row">{items}</dl>')
