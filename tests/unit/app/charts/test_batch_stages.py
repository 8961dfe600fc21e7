"""The stages of a batch lie on one axis, each with its length; durations read as minutes and seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.charts.batch_stages import format_duration, stages_html
from services.runs.batch_details import BatchStage

START = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def test_stages_lie_in_shares_of_the_whole_time():
    stages = [
        BatchStage("Requested", at(0), at(0), "<b>158 players"),
        BatchStage("Generating", at(20), at(60)),
        BatchStage("Consolidating", at(60), None),
    ]
    html = stages_html(stages, now=at(80))
    assert 'class="moment" style="left:0.00%"' in html
    assert 'style="left:25.00%;width:50.00%"' in html
    assert 'class="live" style="left:75.00%;width:25.00%"' in html
    assert "&lt;b&gt;158 players" in html
    assert "<span>14:47:00 ET</span><span>14:48:20</span>" in html
    assert stages_html([], at(0)) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (160, "2:40"), (3725, "1:02:05")])
def test_a_duration_is_minutes_and_seconds(seconds, text):
    assert format_duration(seconds) == text
