"""The bars of counts: one for each value of the first thing, split by the second, of which the largest have a colour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from app.charts import count_bars
from services.core.result import DataSource
from services.explore.counts import Counts, Group
from services.explore.look import make_look
from services.explore.subjects import PREDICTION_ROWS

NIGHT = date(2025, 12, 29)


def make_counts(by, *values, rows=10):
    look = make_look(PREDICTION_ROWS, by, NIGHT - timedelta(days=99), NIGHT)
    measures = dict.fromkeys(PREDICTION_ROWS.measures, rows)
    groups = tuple(Group(dict(zip(by, value, strict=True)), measures) for value in values)
    return Counts(look, groups, DataSource("BigQuery", datetime(2025, 12, 30, tzinfo=UTC)))


def test_a_bar_is_the_sum_of_its_parts_and_each_part_is_named():
    html = count_bars.to_html(
        make_counts(("date", "system"), (NIGHT, "a"), (NIGHT, "b"), (NIGHT - timedelta(days=1), "a"))
    )
    assert "Mon 29 Dec" in html
    assert "<b>20</b>" in html
    assert "<b>10</b>" in html
    assert 'title="Mon 29 Dec: 10 b"' in html


def test_what_has_no_colour_of_its_own_is_among_the_others():
    html = count_bars.to_html(make_counts(("date", "player"), *((NIGHT, f"p{n}") for n in range(20))))
    assert "others" in html
    assert 'title="Mon 29 Dec: 140 others"' in html


def test_more_values_than_bars_are_said_and_text_of_others_is_escaped():
    html = count_bars.to_html(make_counts(("player",), *((f"<b>{n}",) for n in range(40))))
    assert "The first 31 of 40; the table has all." in html
    assert "<b>0" not in html
    assert "&lt;b&gt;0" in html


def test_what_is_not_recorded_is_named_so():
    assert "not recorded" in count_bars.to_html(make_counts(("hour",), (None,)))
