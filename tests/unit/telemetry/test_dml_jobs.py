"""DML writes: counting rejections, bursts and the peak of outstanding statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.core.result import Health
from services.core.settings import Settings
from services.telemetry.dml_jobs import build_report, first_burst, peak_outstanding
from services.telemetry.log_reader import LogLine
from tests.support.factories import NOW, make_attempt
from tests.unit.policy.test_coverage_thresholds import SETTINGS


def test_the_alert_rule_fires_at_the_fifth_rejection_within_a_minute():
    times = [NOW + timedelta(seconds=s) for s in (0, 70, 71, 72, 73, 74)]
    assert first_burst(times, 5, timedelta(seconds=60)) == times[5]
    assert first_burst(times[:5], 5, timedelta(seconds=60)) is None


def test_rejected_statements_are_never_outstanding():
    start = NOW
    running = [
        make_attempt(at=start, ended=start + timedelta(seconds=5)),
        make_attempt(at=start + timedelta(seconds=1), ended=start + timedelta(seconds=6)),
    ]
    assert peak_outstanding([*running, make_attempt(at=start + timedelta(seconds=2), ok=False)]) == 2


def test_writes_are_unknown_when_neither_history_nor_log_can_be_read():
    write_report = build_report(NOW, NOW, None, None, SETTINGS)
    assert (write_report.attempted, write_report.rejected, write_report.rejected_in_logs, write_report.health) == (
        None,
        None,
        None,
        Health.UNKNOWN,
    )


def test_no_rejection_in_the_log_alone_is_not_ok():
    assert build_report(NOW, NOW, None, (), SETTINGS).health is Health.UNKNOWN


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
    assert build_report(start, start, None, lines, Settings.from_env({})).alert_at == start + timedelta(seconds=40)
