"""The timeline's marks: text, escaping, focus, labels and links."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from app.charts import night_timeline
from app.charts.time_axis import broken_axis, whole_axis
from services.core.result import Health
from services.reports.event import ACTIONS, ALERTS, LANES, REJECTED, Event
from services.reports.events import NightEvents
from tests.integration.pages.test_accessibility import EVERY_PAGE
from tests.support.factories import NIGHT

AT = datetime(2025, 12, 29, 19, 47, 29, tzinfo=UTC)


MALICIOUS_MARK = Event(
    lane=ALERTS,
    at=AT,
    label="writes opened",
    message='<b>all is well</b> " onfocus="alert() opened',
    health=Health.CRITICAL,
)


REJECTIONS_MARK = Event(
    lane=REJECTED,
    at=AT,
    label="61",
    message="61 of 87 writes rejected",
    health=Health.CRITICAL,
    ended=AT + timedelta(minutes=1),
    count=61,
)


def test_a_mark_shows_eastern_time_and_utc_and_escapes_its_message():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK, MALICIOUS_MARK)))
    (tip,) = re.findall(r'<span class="tip to-\w+">(.*?)</span></span>', chart_html.split("cross point")[-1])[-1:]
    assert "14:47:29 ET (19:47:29 UTC)" in tip
    assert "<b>all is well" not in chart_html
    assert 'onfocus="' not in chart_html


def test_a_mark_is_focusable_and_labelled_with_its_state_and_message():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK,)))
    assert re.search(
        r'tabindex="0" role="img" aria-label="critical: 14:47:29 ET [^"]*61 of 87 writes rejected"', chart_html
    )


def test_an_unreadable_lane_is_unknown_in_the_chart_and_in_its_text_alternative():
    chart_html = night_timeline.to_html(NightEvents(NIGHT, (REJECTIONS_MARK,), {ALERTS: "The warehouse is down"}))
    assert chart_html.count(">unknown<") == 1
    assert "Alerts are unknown: The warehouse is down. Actions: none." in chart_html


def shown_labels(chart_html: str) -> list[tuple[float, float, str]]:
    """Where each label begins and ends on the narrowest axis, and its text."""
    labels = []
    for side, edge, x, text in re.findall(r'class="said (\w+)" style="(left|right):([\d.]+)%">([^<]*)', chart_html):
        width = night_timeline._label_width(text)
        start = float(x) / 100 if edge == "left" else 1 - float(x) / 100 - width
        assert (side, edge) in {("after", "left"), ("before", "right")}
        labels.append((start, start + width, text))
    return sorted(labels)


@pytest.mark.parametrize("minutes", [(0, 7, 8, 20), (0, 1, 2, 3), (0, 240, 241, 480), (0, 300)])
def test_labels_neither_overlap_nor_cross_a_collapsed_gap(minutes):
    marks = tuple(
        Event(
            lane=ALERTS,
            at=AT + timedelta(minutes=at),
            label=f"words of {at} · more",
            message="m",
            health=Health.WARNING,
        )
        for at in minutes
    )
    timeline = NightEvents(NIGHT, marks)
    labels = [label for label in shown_labels(night_timeline.to_html(timeline)) if label[2] != "None"]
    assert labels
    for (_, end, _), (start, _, _) in pairwise(labels):
        assert end <= start + 0.001
    segments = broken_axis([mark.at for mark in marks])
    for start, end, _ in labels:
        assert any(s.left - 0.001 <= start and end <= s.right + 0.001 for s in segments)


def test_a_label_without_room_is_shortened_before_it_is_left_to_the_tooltip():
    mark = Event(lane=ALERTS, at=AT, label="x" * 80 + " · opened", message="m")
    assert shown_labels(night_timeline.to_html(NightEvents(NIGHT, (mark,))))[0][2] == "None"
    long = Event(lane=ALERTS, at=AT, label="Writes rejected · " + "x" * 80, message="m")
    assert "Writes rejected" in [text for *_, text in shown_labels(night_timeline.to_html(NightEvents(NIGHT, (long,))))]


def test_a_zoom_shows_only_what_lies_within_it_to_scale():
    late = replace(MALICIOUS_MARK, at=AT + timedelta(hours=5))
    timeline = NightEvents(NIGHT, (REJECTIONS_MARK, late))
    chart_html = night_timeline.to_html(timeline, whole_axis(AT - timedelta(minutes=1), AT + timedelta(minutes=3)))
    assert chart_html.count('class="mark') == 1
    assert 'class="fold"' not in chart_html
    whole = night_timeline.to_html(timeline, whole_axis(AT - timedelta(hours=8), AT + timedelta(hours=8)))
    assert whole.count('class="mark') == 2


def test_the_list_has_every_event_once_and_the_rejections_as_one():
    second = replace(REJECTIONS_MARK, at=AT + timedelta(minutes=1), count=29)
    timeline = NightEvents(NIGHT, (REJECTIONS_MARK, second, MALICIOUS_MARK), {ACTIONS: "not read"})
    rows = re.findall(r"<li>.*?</li>", night_timeline.list_html(timeline))
    assert len(rows) == 3
    assert sum("90 writes rejected, peak 61/min" in row for row in rows) == 1
    assert "<b>all is well" not in "".join(rows)
    assert "Actions are unknown: not read" in rows[-1]


def test_many_minutes_of_rejections_are_merged_into_few_marks_without_loss():
    minutes = [
        Event(
            lane=REJECTED,
            at=AT + timedelta(minutes=n),
            label="2",
            message="2 of 3",
            health=Health.CRITICAL,
            ended=AT + timedelta(minutes=n + 1),
            count=2,
        )
        for n in range(700)
    ]
    chart_html = night_timeline.to_html(NightEvents(NIGHT, tuple(minutes)))
    assert chart_html.count('tabindex="0"') < 150
    rejected_counts = [
        int(count_text.replace(",", ""))
        for count_text in re.findall(r'aria-label="[^"]*: ([\d,]+) writes rejected, peak', chart_html)
    ]
    assert sum(rejected_counts) == 1400


def test_every_lane_links_to_a_page():
    assert set(night_timeline.PAGE_OF_LANE) == set(LANES)
    assert set(night_timeline.PAGE_OF_LANE.values()) <= set(EVERY_PAGE)


def test_the_hour_that_comes_twice_in_november_has_two_places_and_two_names():
    first = datetime(2025, 11, 2, 5, 30, tzinfo=UTC)
    marks = tuple(
        Event(lane=ALERTS, at=at, message="told", health=Health.WARNING) for at in (first, first + timedelta(hours=1))
    )
    chart_html = night_timeline.to_html(NightEvents(NIGHT, marks))
    places = re.findall(r'class="mark point triangle" style="left:([\d.]+)%', chart_html)
    assert float(places[0]) < float(places[1])
    assert "01:30:00 EDT (05:30:00 UTC)" in chart_html
    assert "01:30:00 EST (06:30:00 UTC)" in chart_html
    assert [label for label in ("01:29 EDT", "01:29 EST") if f">{label}</span>" in chart_html] == [
        "01:29 EDT",
        "01:29 EST",
    ]
