"""The drawn chart of a night's writes: what it counts, that a later repair does not squeeze the burst, and that text is escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from app.charts import dml_chart
from services.core.result import Health
from services.reports.event import Event
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.job_history import WriteAttempt

AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def make_attempt(start_s: float, seconds: float | None, ok: bool | None = True) -> WriteAttempt:
    started = AT + timedelta(seconds=start_s)
    ended = started + timedelta(seconds=seconds) if seconds is not None else None
    return WriteAttempt("job", started, ended, "MERGE", ok, "", "", "worker")


def test_concurrent_statements_are_counted_by_overlap():
    _, counts = dml_chart.outstanding_over_time([make_attempt(0, 10), make_attempt(1, 10), make_attempt(2, 2)])
    assert counts == [1, 2, 3, 2, 1, 0]


def test_a_statement_that_ends_as_the_next_starts_is_not_counted_twice():
    _, counts = dml_chart.outstanding_over_time([make_attempt(0, 5), make_attempt(5, 5)])
    assert max(counts) == 1


def test_a_rejected_statement_is_never_outstanding():
    assert dml_chart.outstanding_over_time([make_attempt(0, 1, ok=False)]) == ([], [])


def test_a_statement_still_running_stays_in_the_count():
    assert dml_chart.outstanding_over_time([make_attempt(0, None, ok=None)])[1] == [1]


def make_report(*by_minute: tuple[datetime, int, int], alert_at: datetime | None = None) -> DmlReport:
    attempts = tuple(
        WriteAttempt("job", at, at + MINUTE / 3, "MERGE", True, "", "", "worker") for at, _, _ in by_minute
    )
    return DmlReport(AT, AT, 2, 1, by_minute, (), 1, alert_at, 1, attempts, 1, Health.CRITICAL, ())


def column_widths(html: str) -> list[float]:
    return [float(width) for width in re.findall(r"class=\"minute\".*?width:max\(3px,([\d.]+)%\)", html)]


def test_a_repair_eleven_hours_later_leaves_the_burst_its_width():
    burst = [(AT + n * MINUTE, 50, 30) for n in range(3)]
    alone = column_widths(dml_chart.to_html(make_report(*burst), [], "writes"))
    repaired = column_widths(dml_chart.to_html(make_report(*burst, (AT + timedelta(hours=11), 1, 0)), [], "writes"))
    assert len(repaired) == 4
    assert min(repaired[:3]) > 0.3 * alone[0], "on an axis to scale it would be a hundredth"


def test_every_column_has_its_counts_and_nothing_is_drawn_of_zero():
    html = dml_chart.to_html(make_report((AT, 50, 30), (AT + MINUTE, 4, 0)), [], "writes")
    assert 'title="14:47 ET: 20 accepted, 30 rejected"' in html
    assert re.findall(r'<i class="(rejected|accepted)"[^>]*>([\d,]+)</i>', html) == [
        ("rejected", "30"),
        ("accepted", "20"),
        ("accepted", "4"),
    ]


def test_the_alert_and_the_changes_within_the_time_are_marked_and_escaped():
    changes = [
        Event(at=AT + MINUTE / 2, label="<b>4 × 3</b>", message="scaled by <script>x</script>"),
        Event(at=AT - timedelta(hours=5), label="earlier"),
    ]
    html = dml_chart.to_html(make_report((AT, 2, 1), alert_at=AT + timedelta(seconds=9)), changes, "writes")
    assert "alert threshold 14:47:09 ET" in html
    assert "&lt;b&gt;4 × 3&lt;/b&gt;" in html
    assert "<script>" not in html
    assert "earlier" not in html


def test_the_limit_is_named_and_a_higher_count_does_not_leave_the_plot():
    attempts = tuple(WriteAttempt("job", AT, AT + MINUTE, "MERGE", True, "", "", "w") for _ in range(44))
    report = DmlReport(AT, AT, 44, 0, ((AT, 44, 0),), (), 44, None, 0, attempts, 0, Health.OK, ())
    html = dml_chart.to_html(report, [], "writes")
    assert "limit 22 = 2 running + 20 queued" in html
    assert f"bottom:{100 * 22 / (44 * 1.15):.1f}%" in html
