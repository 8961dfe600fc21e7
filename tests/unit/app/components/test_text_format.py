"""Formatting: text that cannot inject Markdown, ages, times and sizes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from app.components import text_format

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


@pytest.mark.parametrize("name", ["*bold*", "[link](http://x)", "`code`", "<b>html</b>", "$x$", "~gone~", "_staging_"])
def test_a_name_cannot_inject_markdown(name):
    escaped = text_format.escape_markdown(name)
    assert all(escaped[i - 1] == "\\" for i, character in enumerate(escaped) if character in "*[]`<>$~_")


@pytest.mark.parametrize("text", [":red[all is well]", ":material/check:", "a :smile: b", ":100:", "5:red[x]"])
def test_a_log_line_cannot_inject_icons_or_colors(text):
    assert text not in text_format.escape_markdown(text)
    assert text_format.escape_markdown(text).replace("\N{ZERO WIDTH SPACE}", "").replace("\\", "") == text


@pytest.mark.parametrize(
    "text", ["http://evil.example", "HTTPS://evil.example", "www.evil.example", "see WWW.evil.example"]
)
def test_an_address_in_a_log_line_does_not_become_a_link(text):
    escaped = text_format.escape_markdown(text)
    assert not re.search(r"https?://|www\.", escaped, re.IGNORECASE)
    assert escaped.replace("\N{ZERO WIDTH SPACE}", "") == text


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200f", "\x1b", "\x9b", "\u200b", "\U000e0041"])
def test_a_sign_that_acts_on_its_reader_is_shown(sign):
    assert (
        text_format.escape_markdown(f"nora{sign}aron")
        == "nora\\\\" + sign.encode("unicode_escape").decode()[1:] + "aron"
    )


def test_a_name_of_several_words_can_be_copied():
    assert text_format.escape_markdown("batch_2025-12-29_1767077100000") == "batch_2025-12-29_1767077100000"


def test_a_log_line_with_line_breaks_stays_one_line():
    assert text_format.escape_markdown("one\n\n# two\n- three") == "one # two - three"


def test_a_line_cannot_start_a_heading_or_a_list():
    assert [text_format.escape_markdown(text) for text in ("# big", "- item", "1. item")] == [
        r"\# big",
        r"\- item",
        r"1\. item",
    ]


def test_ordinary_text_is_left_unchanged():
    sentence = "90 of 158 players are missing, since 14:47 ET (19:47:10 UTC)."
    assert text_format.escape_markdown(sentence) == sentence


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7_200, "2 h ago"), (172_800, "2 d ago"), (-5, "0 s ago")],
)
def test_an_age_is_formatted_in_a_readable_unit(ago, expected):
    assert text_format.format_age(NOW - timedelta(seconds=ago), NOW) == expected


def test_times_are_formatted_in_eastern_time_with_utc():
    assert text_format.format_clock_time(NOW) == "01:45 ET (06:45 UTC)"
    assert text_format.format_day_time(NOW) == "30 Dec 01:45 ET (06:45 UTC)"
    assert text_format.format_exact_time(NOW) == "01:45:00 ET (06:45:00 UTC)"


@pytest.mark.parametrize(
    ("count", "expected"), [(None, "unknown"), (0, "0 B"), (10 << 20, "10.0 MiB"), (1536, "1.5 KiB")]
)
def test_a_size_is_formatted_in_a_readable_unit(count, expected):
    assert text_format.format_bytes(count) == expected
