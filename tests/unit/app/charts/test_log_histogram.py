"""The histogram counts each line once, in its column and kind, and says which time was not read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from app.charts import log_histogram
from services.telemetry.log_reader import LogLine

START = datetime(2025, 12, 29, 19, 0, tzinfo=UTC)
END = START + timedelta(hours=2)


def line(minutes: float, severity: str, repeats: int = 1) -> LogLine:
    return LogLine(START + timedelta(minutes=minutes), "worker", "", severity, "text", str(minutes), repeats)


def test_lines_are_counted_once_in_the_column_of_their_time_by_severity():
    lines = [line(1, "ERROR", repeats=3), line(1.5, "CRITICAL"), line(2.5, "WARNING"), line(119, "DEFAULT")]
    html = log_histogram.to_html(lines, START, END, partly=False)
    assert re.findall(r'title="([^"]+)"', html) == [
        "29 Dec 14:00 ET, 2 min: 2 errors",
        "29 Dec 14:02 ET, 2 min: 1 warning",
        "29 Dec 15:58 ET, 2 min: 1 other line",
    ]
    assert 'aria-label="Log lines over time: 2 errors, 1 warning, 1 other line"' in html
    assert "not read" not in html


def test_what_was_not_read_is_marked_and_never_drawn_as_empty():
    html = log_histogram.to_html([line(60, "INFO")], START, END, partly=True)
    assert '<i class="unread" style="width:50.00%"><span>not read</span></i>' in html


def test_many_days_have_few_columns_and_their_dates():
    lines = [LogLine(START + timedelta(hours=n), "w", "", "INFO", "t", str(n)) for n in range(200)]
    html = log_histogram.to_html(lines, START, START + timedelta(days=31), partly=False)
    assert html.count('class="column"') <= log_histogram.MAX_COLUMNS
    assert "29 Dec" in html
