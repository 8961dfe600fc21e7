"""Counts with their nouns, for the screen, plans and records, and names as they are compared."""

from __future__ import annotations

import string

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """A count with its noun: 1 query, 2,000 queries."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def lower_ascii(text: str) -> str:
    """Text with A to Z in lower case and all else unchanged: `lower` makes the Kelvin sign a k, and so two names one."""
    return text.translate(_ASCII_LOWER)
