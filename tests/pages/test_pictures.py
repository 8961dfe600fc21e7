"""What the pictures count and say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from app.charts import bar_rows, coverage_by_night, plotly_charts
from services.core.clock import ET
from services.core.result import Health
from services.nights.coverage import NightCoverage
from services.nights.player_stages import STAGES, Stage
from services.scaling.service_widths import CapacityState, ServiceCapacities, ServiceCapacity
from services.telemetry.dml_jobs import DmlReport, WriteAttempt

AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)


def make_attempt(start_s: float, seconds: float | None, ok: bool | None = True) -> WriteAttempt:
    started = AT + timedelta(seconds=start_s)
    ended = started + timedelta(seconds=seconds) if seconds is not None else None
    return WriteAttempt("job", started, ended, "MERGE", ok, "", "", "worker")


def make_coverage(health: Health, active: int = 68, eligible: int = 158, games: int = 11) -> NightCoverage:
    return NightCoverage(date(2025, 12, 29), games, 176, 352, eligible, active, active * 25, (), health)


def test_concurrent_statements_are_counted_by_overlap():
    _, counts = plotly_charts.outstanding_over_time([make_attempt(0, 10), make_attempt(1, 10), make_attempt(2, 2)])
    assert counts == [1, 2, 3, 2, 1, 0]


def test_a_statement_that_ends_as_the_next_starts_is_not_counted_twice():
    _, counts = plotly_charts.outstanding_over_time([make_attempt(0, 5), make_attempt(5, 5)])
    assert max(counts) == 1


def test_a_rejected_statement_is_never_outstanding():
    assert plotly_charts.outstanding_over_time([make_attempt(0, 1, ok=False)]) == ([], [])


def test_a_statement_still_running_stays_in_the_count():
    assert plotly_charts.outstanding_over_time([make_attempt(0, None, ok=None)])[1] == [1]


def test_a_night_without_classification_has_no_percentage():
    assert coverage_by_night.coverage_pct(make_coverage(Health.UNKNOWN, active=0), "eligible") is None
    assert (
        coverage_by_night.coverage_pct(make_coverage(Health.NONE_EXPECTED, active=0, eligible=0, games=0), "eligible")
        is None
    )
    assert f"{coverage_by_night.coverage_pct(make_coverage(Health.CRITICAL), 'eligible'):.1f}" == "43.0"


def test_a_night_without_classification_has_no_bar_and_a_reason():
    no_games = make_coverage(Health.NONE_EXPECTED, active=0, eligible=0, games=0)
    chart_html = coverage_by_night.to_html(
        [make_coverage(Health.CRITICAL), make_coverage(Health.UNKNOWN, active=0), no_games],
        "eligible",
        "eligible",
        [("low", 85)],
    )
    assert chart_html.count("<i ") == 1
    assert ">none yet<" in chart_html
    assert ">no games<" in chart_html
    assert (
        "Mon 29 Dec 2025 critical: 43.0 %, 68 of 158; Mon 29 Dec 2025: none yet; Mon 29 Dec 2025: no games."
        in chart_html
    )
    assert "low 85 %" in chart_html


def test_an_unreadable_stage_is_unknown_and_has_no_bar():
    chart_html = bar_rows.funnel_html({**dict.fromkeys(STAGES, 158), Stage.STAGED: None}, ())
    assert chart_html.count('title="') == len(STAGES) - 1
    assert 'title="staged' not in chart_html
    assert chart_html.count("<b>unknown</b>") == 1


def test_an_unlimited_capacity_is_stated_and_has_no_bar():
    unlimited = ServiceCapacity(
        "worker", None, None, 3, "r", None, "", "", CapacityState.DRIFTED, Health.CRITICAL, True
    )
    chart_html = bar_rows.capacities_html(ServiceCapacities((unlimited,), ()))
    assert "<b>no maximum is set</b>" in chart_html
    assert 'title="' not in chart_html
    assert "the table admits 22" in chart_html


def test_the_chart_ends_with_the_last_statement_and_marks_the_alert():
    long_attempt, rejected_attempt = make_attempt(0, 1800), make_attempt(1, 0, ok=False)
    alert = AT + timedelta(seconds=9)
    report = DmlReport(
        AT, AT, 2, 1, ((AT, 2, 1),), (), 1, alert, 1, (long_attempt, rejected_attempt), Health.CRITICAL, ()
    )
    figure = plotly_charts.dml_figure(report)
    assert figure.layout.xaxis.range[1] >= (AT + timedelta(seconds=1800)).astimezone(ET).replace(tzinfo=None)
    assert [trace.yaxis for trace in figure.data] == [None, None, "y2"]
    assert "alert 14:47:09" in [annotation.text for annotation in figure.layout.annotations]
