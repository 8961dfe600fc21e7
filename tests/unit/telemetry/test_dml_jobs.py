"""Write attempts from job history and log: rejections, concurrency and the alert rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from services.core.clock import night_window
from services.core.errors import SourceUnavailable
from services.core.result import Health, Problem
from services.core.settings import Settings
from services.nights.night_writes import describe_queue
from services.telemetry import dml_jobs, log_reader
from services.telemetry.dml_jobs import build_report, first_burst, peak_outstanding, read_writes
from services.telemetry.log_reader import LogLine
from tests.support.factories import NIGHT, NOW, make_attempt, make_job_history, make_log_lines
from tests.unit.policy.test_coverage_thresholds import SETTINGS


def test_the_alert_rule_fires_at_the_fifth_rejection_within_a_minute():
    times = [NOW + timedelta(seconds=s) for s in (0, 70, 71, 72, 73, 74)]
    assert first_burst(times, 5, timedelta(seconds=60)) == times[5]
    assert first_burst(times[:5], 5, timedelta(seconds=60)) is None
    minute = [NOW + timedelta(seconds=15 * n) for n in range(5)]
    assert first_burst(minute, 5, timedelta(seconds=60)) == minute[4]


def test_rejected_statements_are_never_outstanding():
    start = NOW
    running = [
        make_attempt(at=start, ended=start + timedelta(seconds=5)),
        make_attempt(at=start + timedelta(seconds=1), ended=start + timedelta(seconds=6)),
    ]
    rejected = make_attempt(at=start + timedelta(seconds=2), ended=start + timedelta(seconds=4), ok=False)
    assert peak_outstanding([*running, rejected]) == 2


def test_writes_are_unknown_when_neither_history_nor_log_can_be_read():
    write_report = build_report(NOW, NOW, None, None, SETTINGS)
    assert (write_report.attempted, write_report.rejected, write_report.rejected_in_logs, write_report.health) == (
        None,
        None,
        None,
        Health.UNKNOWN,
    )


def test_no_rejection_in_the_log_alone_is_not_ok():
    assert build_report(NOW, NOW, None, make_log_lines(), SETTINGS).health is Health.UNKNOWN


def test_rejections_spread_over_twenty_instances_are_counted_together():
    """The customer's worker counted in each process: 90 errors over 20 instances never were 5 in 60 s anywhere."""
    start = datetime(2025, 12, 29, 19, 47, tzinfo=UTC)
    lines = tuple(
        LogLine(
            start + timedelta(seconds=10 * n),
            "prediction-worker",
            f"instance-{n % 20}",
            "ERROR",
            f"Error writing to BigQuery for p{n}: 400 Too many DML statements outstanding",
            f"{n}",
        )
        for n in range(20)
    )
    assert build_report(
        start, start, None, make_log_lines(*lines), Settings.from_env({})
    ).alert_at == start + timedelta(seconds=40)


PARTIAL = Problem("BigQuery job history", NOW, "The newest 20,000 jobs were read.")


def test_a_history_that_was_read_in_part_counts_nothing_and_is_never_ok():
    """90 rejections behind 20,000 newer jobs were "0 of 0, ok"."""
    report = build_report(NOW, NOW, make_job_history(problem=PARTIAL), make_log_lines(), SETTINGS)
    assert (report.attempted, report.rejected, report.peak_outstanding) == (None, None, None)
    assert report.health is Health.UNKNOWN


def test_what_a_partial_history_shows_is_shown_and_raises_the_alarm():
    attempts = [make_attempt(job_id=f"j{n}", ok=False, message="Too many DML statements outstanding") for n in range(5)]
    report = build_report(NOW, NOW, make_job_history(*attempts, problem=PARTIAL), make_log_lines(), SETTINGS)
    assert (report.rejected, report.rejected_at_least) == (None, 5)
    assert report.health is Health.CRITICAL
    assert [(attempted, rejected) for _, attempted, rejected in report.by_minute] == [(5, 5)]


def test_a_log_that_was_read_in_part_confirms_nothing():
    report = build_report(NOW, NOW, make_job_history(make_attempt()), make_log_lines(truncated=True), SETTINGS)
    assert (report.attempted, report.rejected, report.rejected_in_logs) == (1, 0, None)
    assert report.health is Health.UNKNOWN


QUEUE_FULL = "Too many DML statements outstanding against table t, limit is 20."


def make_line(message: str, at: datetime = NOW, repeats: int = 1) -> LogLine:
    return LogLine(at, "prediction-worker", "r1", "ERROR", message, f"{at}", repeats)


def test_without_a_rejection_writes_are_ok_and_with_one_they_warn():
    written = make_attempt(at=NOW, ended=NOW + timedelta(seconds=5))
    calm = build_report(NOW, NOW, make_job_history(written), make_log_lines(), SETTINGS)
    assert (calm.health, calm.rejected_pct, calm.peak_outstanding) == (Health.OK, 0.0, 1)
    rejected = make_attempt(at=NOW, ok=False, message=QUEUE_FULL)
    report = build_report(NOW, NOW, make_job_history(written, rejected), make_log_lines(), SETTINGS)
    assert (report.health, report.rejected_pct) == (Health.WARNING, 50.0)
    assert report.by_minute == ((NOW, 2, 1),)


def test_the_share_of_rejected_writes_is_unknown_without_writes_or_without_a_count():
    assert build_report(NOW, NOW, make_job_history(), make_log_lines(), SETTINGS).rejected_pct is None
    assert build_report(NOW, NOW, None, make_log_lines(), SETTINGS).rejected_pct is None


def test_a_rejection_that_only_the_log_has_warns_and_adds_nothing_to_a_whole_history():
    log = make_log_lines(make_line(f"Error writing to BigQuery for p1: 400 {QUEUE_FULL}"))
    report = build_report(NOW, NOW, make_job_history(make_attempt()), log, SETTINGS)
    assert (report.health, report.rejected, report.rejected_in_logs) == (Health.WARNING, 0, 1)
    assert (report.rejected_at_least, report.by_reason, report.last_rejected_at) == (0, (), None)


def test_errors_that_fewer_writers_would_not_help_never_meet_the_alert_rule():
    def find_alert(message: str) -> datetime | None:
        attempts = [make_attempt(job_id=f"j{n}", at=NOW, ok=False, message=message) for n in range(5)]
        return build_report(NOW, NOW, make_job_history(*attempts), make_log_lines(), SETTINGS).alert_at

    assert find_alert("Too many table update operations for this table") is None
    assert find_alert(QUEUE_FULL) == NOW
    assert find_alert("an error that nobody knows yet") == NOW


def test_rejections_are_counted_by_what_a_known_error_means_and_else_by_the_first_line():
    messages = (QUEUE_FULL, QUEUE_FULL, f"{'x' * 130}\nsecond line")
    attempts = [make_attempt(ok=False, message=message) for message in messages]
    report = build_report(NOW, NOW, make_job_history(*attempts), make_log_lines(), SETTINGS)
    assert report.by_reason == (("DML queue full (2 running + 20 queued)", 2), ("x" * 120, 1))


@pytest.mark.parametrize(("hours", "read"), [(24, "read_night_log"), (25, "read_lines")])
def test_log_lines_of_the_window_that_reject_a_write_count_as_often_as_they_were_said(monkeypatch, hours, read):
    start, other_run = night_window(NIGHT)[0], timedelta(hours=2)
    end, message = start + timedelta(hours=hours), f"Error writing to BigQuery for p1: 400 {QUEUE_FULL}"
    lines = make_log_lines(
        make_line(message, start - timedelta(seconds=1)),
        make_line(message, start, repeats=3),
        make_line("Player p1 was written", start),
        make_line(message, start + other_run),
        make_line(message, end),
    )
    for name in ("read_night_log", "read_lines"):
        monkeypatch.setattr(log_reader, name, lambda *_, name=name, **__: lines if name == read else None)
    found = dml_jobs._read_rejection_lines(Mock(), start, end, lambda at: at != start + other_run)
    assert [line.at for line in found.lines] == [start] * 3


@pytest.fixture
def read_queue(monkeypatch):
    """The report of a window that ends `ends_in` from now, of which one write belongs to a run of another date."""

    def read(
        *attempts: Any, ends_in: timedelta = timedelta(hours=1), problem: Problem | None = None
    ) -> dml_jobs.DmlReport:
        history = replace(make_job_history(*attempts), problem=problem)
        monkeypatch.setattr(dml_jobs, "read_job_history", lambda *_: history)
        monkeypatch.setattr(dml_jobs, "_read_rejection_lines", lambda *_: make_log_lines())
        clients: Any = SimpleNamespace(now=lambda: NOW, settings=SETTINGS)
        return read_writes(clients, NOW - timedelta(hours=3), NOW + ends_in, lambda at: at == NOW)

    return read


def test_the_queue_now_has_every_statement_that_has_not_ended_of_any_run(read_queue):
    running = make_attempt(job_id="r", at=NOW, ended=None, ok=None)
    of_another_run = make_attempt(job_id="o", at=NOW - timedelta(minutes=1), ended=None, ok=None)
    pending = make_attempt(job_id="p", at=NOW, ended=None, ok=None, pending=True)
    report = read_queue(of_another_run, running, pending, make_attempt(at=NOW))
    assert [attempt.job_id for attempt in report.queue or ()] == ["o", "r", "p"]
    assert describe_queue(report) == "2 of 2 running, 1 of 20 queued"
    assert "o" not in {attempt.job_id for attempt in report.attempts}
    assert describe_queue(read_queue()) == "0 of 2 running, 0 of 20 queued"


def test_the_queue_of_a_past_window_or_of_a_partial_history_is_not_known(read_queue):
    running = make_attempt(at=NOW, ended=None, ok=None)
    assert read_queue(running, ends_in=timedelta(0)).queue is None
    assert read_queue(running, problem=Problem("job history", NOW, "only in part")).queue is None
    assert describe_queue(read_queue(running, ends_in=timedelta(0))) == ""


def test_why_a_source_was_read_in_part_or_not_at_all_is_a_problem_of_the_report(read_queue, monkeypatch):
    assert read_queue().problems == ()
    assert read_queue(problem=PARTIAL).problems == (PARTIAL,)
    monkeypatch.setattr(dml_jobs, "read_job_history", Mock(side_effect=SourceUnavailable("BigQuery does not answer.")))
    clients: Any = SimpleNamespace(now=lambda: NOW, settings=SETTINGS)
    report = read_writes(clients, NOW, NOW + timedelta(hours=1))
    assert [(problem.source, problem.message) for problem in report.problems] == [
        ("job history", "BigQuery does not answer.")
    ]
    assert (report.attempted, report.queue) == (None, None)
