"""Counts with their nouns, names as they are compared, and texts of others as they are shown: they never act on their reader."""

from __future__ import annotations

import re
import string
from datetime import timedelta

# What acts on a terminal or a reader instead of being read: controls of C0 and C1 (line ends and escapes among them),
# Unicode's line ends, the marks that reverse the direction of text, what has no width, and half surrogate pairs.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_MARKDOWN_SPECIALS = re.compile(
    r"([\\`*{}\[\]~<>$&|]|(?<![^\W_])_|_(?![^\W_])|^[#+-](?=\s)|(?<=^\d)[.)]|(?<=^\d\d)[.)])"  # a _ inside a word is one
)
# :material/…:, :emoji:, :red[…], and the addresses that become links by themselves, escaped or not
_MARKDOWN_WORDS = re.compile(
    r":(?=[A-Za-z_+-][\w+/-]*[:\[])|(?<!\d):(?=\d[\w+/-]*[:\[])|:(?=//)|(?<=\bwww)(?=\.)", re.IGNORECASE
)
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """A count with its noun: 1 query, 2,000 queries."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def format_duration(length: timedelta) -> str:
    """A time in its two largest units, rounded down: 45 s, 3 min, 10 h 58 min, 3 d 4 h."""
    seconds = max(0, int(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    return f"{hours} h {minutes % 60:02d} min" if not days else f"{days} d {hours % 24} h"


def lower_ascii(text: str) -> str:
    """Text with A to Z in lower case and all else unchanged: `lower` makes the Kelvin sign a k, and so two names one."""
    return text.translate(_ASCII_LOWER)


def to_printable(text: str) -> str:
    """Text on one line that is read as it is written: characters that act on its reader are shown, as `\\n` or `\\u202e`."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def escape_markdown(text: str) -> str:
    """Text as Markdown that shows exactly these characters on one line: names and log lines are never formatted."""
    one_line = to_printable(" ".join(text.split()))
    return _MARKDOWN_WORDS.sub("\\g<0>\N{ZERO WIDTH SPACE}", _MARKDOWN_SPECIALS.sub(r"\\\1", one_line))
