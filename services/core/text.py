"""Counts with their nouns, for the screen, plans and records."""

from __future__ import annotations


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """A count with its noun: 1 query, 2,000 queries."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
