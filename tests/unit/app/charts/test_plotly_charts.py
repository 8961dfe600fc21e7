"""What the Plotly charts count and mark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.charts import plotly_charts
from services.core.result import Health
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.job_history import WriteAttempt

AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)


def make_attempt(start_s: float, seconds: float | None, ok: bool | None = True) -> WriteAttempt:
    started = AT + timedelta(seconds=start_s)
    ended = started + timedelta(seconds=seconds) if seconds is not None else None
    return WriteAttempt("job", started, ended, "MERGE", ok, "", "", "worker")


def test_the_chart_ends_with_the_last_statement_and_marks_the_alert():
    long_attempt, rejected_attempt = make_attempt(0, 1800), make_attempt(1, 0, ok=False)
    alert = AT + timedelta(seconds=9)
    report = DmlReport(
        AT, AT, 2, 1, ((AT, 2, 1),), (), 1, alert, 1, (long_attempt, rejected_attempt), 1, Health.CRITICAL, ()
    )
    figure = plotly_charts.dml_figure(report)
    assert figure.layout.xaxis.range[1] >= (AT + timedelta(seconds=1800)).replace(tzinfo=None)
    assert [trace.yaxis for trace in figure.data] == [None, None, "y2"]
    assert "alert 14:47:09 ET" in [annotation.text for annotation in figure.layout.annotations]


def test_the_chart_is_drawn_once_while_its_writes_and_its_theme_stay_the_same(monkeypatch):
    attempts = (make_attempt(0, 1), make_attempt(1, 0, ok=False))
    first_read = DmlReport(AT, AT, 2, 1, ((AT, 2, 1),), (), 1, None, 1, attempts, 1, Health.WARNING, ())
    later_read = replace(first_read, end=AT + timedelta(hours=1), attempts=tuple(map(replace, attempts)))
    figure = plotly_charts.dml_figure(first_read)
    assert plotly_charts.dml_figure(later_read) is figure
    assert plotly_charts.dml_figure(replace(first_read, alert_at=AT)) is not figure
    monkeypatch.setattr(plotly_charts, "text_color", lambda: "#123456")
    assert plotly_charts.dml_figure(first_read).layout.font.color == "#123456"


@pytest.mark.parametrize("change", [datetime(2025, 11, 2, 6, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC)])
@given(st.lists(st.integers(-150, 150), min_size=1, max_size=30, unique=True))
def test_no_two_minutes_share_a_place_or_a_label_when_the_clocks_change(change, offsets):
    minutes = [change + timedelta(minutes=offset) for offset in sorted(offsets)]
    attempts = tuple(
        WriteAttempt("job", at, at + timedelta(seconds=20), "MERGE", True, "", "", "worker") for at in minutes
    )
    by_minute = tuple((at, 1, 0) for at in minutes)
    report = DmlReport(AT, AT, len(minutes), 0, by_minute, (), 1, None, 0, attempts, 0, Health.OK, ())
    accepted, _, outstanding = plotly_charts.dml_figure(report).data
    for trace in (accepted, outstanding):
        assert list(trace.x) == sorted(set(trace.x))
        assert len(set(trace.customdata)) == len(trace.x)
    assert [at - accepted.x[0] for at in accepted.x] == [at - minutes[0] for at in minutes], "to scale"
