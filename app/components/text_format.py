"""How the dashboard formats text, times (ET with UTC), ages, sizes and counts."""

from __future__ import annotations

from datetime import datetime

from services.core import text as text_of_others
from services.core.clock import format_eastern
from services.core.text import pluralize as pluralize


class SafeMarkdown(str):
    """Text that is ours and may be read as Markdown; everything else is escaped."""

    __slots__ = ()


def escape_markdown(text: object) -> str:
    """Any text as Markdown that shows exactly these characters: names and log lines must never be formatted."""
    if isinstance(text, SafeMarkdown):
        return text
    return text_of_others.escape_markdown(str(text))


def escape_keep_percent(text: object) -> str:
    """The same, with every per cent sign kept beside its number."""
    return escape_markdown(text).replace(" %", "\N{NO-BREAK SPACE}%")


def count_or_unknown(value: int | None) -> int | str:
    """A number for a table, or the word for not knowing it."""
    return "unknown" if value is None else value


def format_clock_time(at: datetime) -> str:
    """14:47 ET (19:47 UTC)."""
    return f"{format_eastern(at)} ({at:%H:%M} UTC)"


def format_exact_time(at: datetime) -> str:
    """14:47:51 ET (19:47:51 UTC)."""
    return f"{format_eastern(at, '%H:%M:%S')} ({at:%H:%M:%S} UTC)"


def format_day_time(at: datetime | None) -> str:
    """29 Dec 14:47 ET (19:47 UTC), or a dash when nothing recorded it."""
    if at is None:
        return "—"
    return f"{format_eastern(at, '%-d %b %H:%M')} ({at:%H:%M} UTC)"


def format_age(at: datetime, now: datetime) -> str:
    """How long ago, in the unit a person would use."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, seconds_per_unit in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * seconds_per_unit:
            return f"{seconds // seconds_per_unit} {unit} ago"
    return f"{seconds} s ago"


def format_bytes(byte_count: int | None) -> str:
    """Bytes in the unit a person would use."""
    if byte_count is None:
        return "unknown"
    for unit, bytes_per_unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if byte_count >= bytes_per_unit:
            return f"{byte_count / bytes_per_unit:,.1f} {unit}"
    return f"{byte_count} B"
