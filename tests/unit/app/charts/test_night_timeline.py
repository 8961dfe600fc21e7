"""The timeline's marks: text, escaping, focus, labels and links."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from app.charts import night_timeline
from services.core.result import Health
from services.reports.events import ALERTS, LANES, REJECTED, Event, NightEvents
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


def test_labels_beside_marks_do_not_overlap():
    times = [AT + timedelta(minutes=minutes) for minutes in (0, 7, 8, 20)]
    marks = tuple(
        Event(lane=ALERTS, at=at_time, label=f"words of {n}", message="told", health=Health.WARNING)
        for n, at_time in enumerate(times)
    )
    chart_html = night_timeline.to_html(NightEvents(NIGHT, marks))
    spans = [
        (float(x) if side == "left" else 100 - float(x) - float(width_pct), float(width_pct))
        for side, x, width_pct in re.findall(
            r'class="said \w+" style="(left|right):([\d.]+)%;max-width:([\d.]+)%">words', chart_html
        )
    ]
    assert spans
    for (start_pct, width_pct), (following, _) in pairwise(sorted(spans)):
        assert start_pct + width_pct <= following + 0.1


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
        for count_text in re.findall(r'aria-label="[^"]*: ([\d,]+) writes rejected, at most', chart_html)
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
