"""What the shared pieces write: text that cannot format itself, downloads that cannot run, ages and sizes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from app.components import tables, widgets
from app.components import text_format as words
from services.core.result import Health

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)


@pytest.mark.parametrize("name", ["*bold*", "[link](http://x)", "`code`", "<b>html</b>", "$x$", "~gone~", "_staging_"])
def test_a_name_cannot_format_itself(name):
    shown = words.plain(name)
    assert all(shown[i - 1] == "\\" for i, sign in enumerate(shown) if sign in "*[]`<>$~_")


@pytest.mark.parametrize("text", [":red[all is well]", ":material/check:", "a :smile: b"])
def test_a_log_line_cannot_bring_its_own_icons_or_colours(text):
    assert text not in words.plain(text)
    assert words.plain(text).replace("\N{ZERO WIDTH SPACE}", "").replace("\\", "") == text


def test_a_log_line_with_line_breaks_stays_one_line():
    assert words.plain("one\n\n# two\n- three") == "one # two - three"


def test_a_line_cannot_start_a_heading_or_a_list():
    assert [words.plain(text) for text in ("# big", "- item", "1. item")] == [r"\# big", r"\- item", r"1\. item"]


def test_ordinary_words_are_left_as_they_are():
    sentence = "90 of 158 players are missing, since 14:47 ET (19:47 UTC)."
    assert words.plain(sentence) == sentence


def test_every_health_word_has_an_icon_of_its_own_and_says_its_word():
    badges = {health: widgets.badge(health) for health in Health}
    assert all(health.value in badge and ":material/" in badge for health, badge in badges.items())
    assert len({badge.split("material/")[1].split(":")[0] for badge in badges.values()}) == len(Health)


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "\u00a0=1", "\uff1d1+1", '=HYPERLINK("http://x")']
)
def test_a_downloaded_text_cannot_run_as_a_formula(cell):
    (row,) = csv.DictReader(io.StringIO(tables.as_csv([{"name": cell}]).decode("utf-8-sig")))
    assert row["name"] == f"'{cell}"


def test_a_downloaded_number_stays_a_number_and_a_time_carries_its_zone():
    text = tables.as_csv([{"n": -5, "at": NOW, "gap": None}]).decode("utf-8-sig")
    assert text.splitlines() == ["n,at,gap", "-5,2025-12-30T06:45:00+00:00,"]


@pytest.mark.parametrize(
    ("ago", "told"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7_200, "2 h ago"), (172_800, "2 d ago"), (-5, "0 s ago")],
)
def test_an_age_is_told_in_the_unit_a_person_would_use(ago, told):
    assert words.age(NOW - timedelta(seconds=ago), NOW) == told


def test_times_are_told_in_new_york_with_utc_beside():
    assert words.clock_time(NOW) == "01:45 ET (06:45 UTC)"
    assert words.day_time(NOW) == "30 Dec 01:45 ET (06:45 UTC)"
    assert words.exact_time(NOW) == "01:45:00 ET (06:45:00 UTC)"


@pytest.mark.parametrize(("count", "told"), [(None, "unknown"), (0, "0 B"), (10 << 20, "10.0 MiB"), (1536, "1.5 KiB")])
def test_a_size_is_told_in_the_unit_a_person_would_use(count, told):
    assert words.size(count) == told


@pytest.mark.parametrize(("count", "told"), [(0, "0 queries"), (1, "1 query"), (2000, "2,000 queries")])
def test_a_count_stands_with_its_noun(count, told):
    assert words.many(count, "query", "queries") == told
    assert words.many(count, "row") == told.replace("queries", "rows").replace("query", "row")
