"""A field for a whole number that refuses what it does not take, in place of Streamlit's, which keeps the last good number then."""

from __future__ import annotations

import streamlit as st


def parse_whole_number(text: str, minimum: int, maximum: int) -> int | None:
    """The number that a text is, None when it is none within the limits: 12.5, 1e9 and an empty text are none."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= len(str(maximum))):
        return None
    number = int(digits)
    return number if minimum <= number <= maximum else None


def whole_number_field(label: str, minimum: int, maximum: int, default: int, key: str) -> tuple[int | None, str]:
    """The number that is typed, and "" or the sentence that says why it cannot be used."""
    text = st.text_input(label, str(default), key=key, width=110)
    number = parse_whole_number(text, minimum, maximum)
    return number, "" if number is not None else f"{label}: a whole number from {minimum} to {maximum}, not “{text}”."
