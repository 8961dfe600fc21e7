"""A text field with a limit that throws nothing away: what is longer is kept and counted."""

from __future__ import annotations

import streamlit as st


def over_limit(text: str, limit: int, unit: str = "characters") -> str:
    """The sentence that says how much of a text is too much; "" where it is not."""
    return "" if len(text) <= limit else f"{len(text):,} of at most {limit:,} {unit}: remove {len(text) - limit:,}."


def limited_text_field(label: str, limit: int, key: str) -> tuple[str, str]:
    """What is typed, whole, and "" or the sentence that says why it is too long, which is shown under the field."""
    text = st.text_input(label, key=key) or ""
    if problem := over_limit(text, limit):
        st.markdown(f":red[:material/error: {problem}]")
    return text, problem
