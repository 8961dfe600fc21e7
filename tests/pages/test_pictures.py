"""What the pictures count and say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from app.charts import bar_rows as bars
from app.charts import coverage_by_night as nights
from app.charts import plotly_charts as charts
from services.core.clock import ET
from services.core.result import Health
from services.nights.coverage import DayCoverage
from services.nights.player_stages import STAGES, Stage
from services.scaling.service_widths import ServiceWidth, Width, Widths
from services.telemetry.dml_jobs import DmlReport, WriteAttempt

AT = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)


def attempt(start_s: float, seconds: float | None, ok: bool | None = True) -> WriteAttempt:
    begun = AT + timedelta(seconds=start_s)
    ended = begun + timedelta(seconds=seconds) if seconds is not None else None
    return WriteAttempt("job", begun, ended, "MERGE", ok, "", "", "worker")


def day(health: Health, active: int = 68, eligible: int = 158, games: int = 11) -> DayCoverage:
    return DayCoverage(date(2025, 12, 29), games, 176, 352, eligible, active, active * 25, (), health)


def test_statements_at_once_are_counted_by_their_overlap():
    _, counts = charts.at_once([attempt(0, 10), attempt(1, 10), attempt(2, 2)])
    assert counts == [1, 2, 3, 2, 1, 0]


def test_a_statement_that_ends_as_the_next_begins_does_not_count_twice():
    _, counts = charts.at_once([attempt(0, 5), attempt(5, 5)])
    assert max(counts) == 1


def test_a_rejected_statement_never_stood_in_the_queue():
    assert charts.at_once([attempt(0, 1, ok=False)]) == ([], [])


def test_a_statement_still_running_stays_in_the_count():
    assert charts.at_once([attempt(0, None, ok=None)])[1] == [1]


def test_a_night_that_was_not_judged_has_no_percentage():
    assert nights.share(day(Health.UNKNOWN, active=0), "eligible") is None
    assert nights.share(day(Health.NONE_EXPECTED, active=0, eligible=0, games=0), "eligible") is None
    assert f"{nights.share(day(Health.CRITICAL), 'eligible'):.1f}" == "43.0"


def test_a_night_that_was_not_judged_draws_no_bar_and_says_why():
    off = day(Health.NONE_EXPECTED, active=0, eligible=0, games=0)
    drawn = nights.picture(
        [day(Health.CRITICAL), day(Health.UNKNOWN, active=0), off], "eligible", "eligible", [("low", 85)]
    )
    assert drawn.count("<i ") == 1
    assert ">none yet<" in drawn
    assert ">no games<" in drawn
    assert "Mon 29 Dec 2025 critical: 43.0 %, 68 of 158; Mon 29 Dec 2025: none yet; Mon 29 Dec 2025: no games." in drawn
    assert "low 85 %" in drawn


def test_a_stage_nobody_could_read_is_called_unknown_and_draws_no_bar():
    drawn = bars.funnel({**dict.fromkeys(STAGES, 158), Stage.STAGED: None}, ())
    assert drawn.count('title="') == len(STAGES) - 1
    assert 'title="staged' not in drawn
    assert drawn.count("<b>unknown</b>") == 1


def test_a_width_without_a_maximum_is_told_and_draws_no_bar():
    endless = ServiceWidth("worker", None, None, 3, "r", None, "", "", Width.DRIFTED, Health.CRITICAL, True)
    drawn = bars.widths(Widths((endless,), ()))
    assert "<b>no maximum is set</b>" in drawn
    assert 'title="' not in drawn
    assert "the table admits 22" in drawn


def test_writes_of_a_night_are_drawn_until_the_last_statement_ends_with_the_second_of_the_alert():
    long, refused = attempt(0, 1800), attempt(1, 0, ok=False)
    alert = AT + timedelta(seconds=9)
    report = DmlReport(AT, AT, 2, 1, ((AT, 2, 1),), (), 1, alert, 1, (long, refused), Health.CRITICAL, ())
    drawn = charts.of_night(report)
    assert drawn.layout.xaxis.range[1] >= (AT + timedelta(seconds=1800)).astimezone(ET).replace(tzinfo=None)
    assert [trace.yaxis for trace in drawn.data] == [None, None, "y2"]
    assert "alert 14:47:09" in [note.text for note in drawn.layout.annotations]
