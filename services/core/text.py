"""How counts are written, on the screen, in plans and in records."""

from __future__ import annotations


def many(count: int, one: str, several: str = "") -> str:
    """A count with its noun: 1 query, 2,000 queries."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
