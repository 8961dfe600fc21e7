"""A text field with a limit that throws nothing away: what is longer is kept and counted."""

from __future__ import annotations

import streamlit as st


def over_limit(count: int, limit: int, unit: str = "characters") -> str:
    """The sentence that says how much is too much; "" where nothing is."""
    return "" if count <= limit else f"{count:,} of at most {limit:,} {unit}: remove {count - limit:,}."


def limited_text_field(label: str, limit: int, key: str) -> tuple[str, str]:
    """What is typed, whole, and "" or the sentence that says why it is too long, which is shown under the field."""
    return _counted(st.text_input(label, key=key) or "", limit)


def limited_text_area(label: str, limit: int, key: str) -> tuple[str, str]:
    """The same for a text of several lines."""
    return _counted(st.text_area(label, key=key, height=160) or "", limit)


def _counted(text: str, limit: int) -> tuple[str, str]:
    if problem := over_limit(len(text), limit):
        st.markdown(f":red[:material/error: {problem}]")
    return text, problem
