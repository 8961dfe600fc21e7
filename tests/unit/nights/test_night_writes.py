"""The writes of a night whose runs are not known are counted, and never called complete."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from services.batches.reader import Batches
from services.core.clock import night_window
from services.core.errors import SourceUnavailable
from services.core.result import DataSource, Health, Problem, Result
from services.gcp.clients import Clients
from services.nights import night_writes
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport
from services.telemetry.log_reader import LogLines
from tests.support.factories import NIGHT

NOW = datetime(2025, 12, 30, 6, 45, tzinfo=UTC)
CLEAN = DmlReport(NOW, NOW, 158, 0, (), (), 1, None, 0, (), 0, Health.OK, ())
CLIENTS = cast(Clients, SimpleNamespace(now=lambda: NOW, settings=SimpleNamespace(coordinator_service="coordinator")))
ALL_LINES = LogLines((), DataSource("Cloud Logging", NOW))


def fail(*_: object, **__: object) -> None:
    raise SourceUnavailable("It did not answer.")


@pytest.fixture
def read_night_writes(monkeypatch):
    """The report of the night, with what the sources answer."""

    def read(batches=lambda *_: Batches((), ()), log=lambda *_, **__: ALL_LINES, preload=lambda *_: None) -> DmlReport:
        monkeypatch.setattr(night_writes, "read_batches", batches)
        monkeypatch.setattr(log_reader, "read_night_log", log)
        monkeypatch.setattr(night_writes, "read_writes", lambda *_: CLEAN)
        monkeypatch.setattr(night_writes, "preload_job_history", preload)
        return night_writes.read_night_writes(CLIENTS, NIGHT)

    return read


def test_the_writes_since_the_newest_batch_are_unknown_too_while_its_runs_are_not_known(monkeypatch):
    """The watchdog and the pages judge the same report."""
    monkeypatch.setattr(night_writes, "read_writes", lambda *_: CLEAN)
    problem, read = Problem("The list of batches", NOW, "It did not answer."), Result(Batches((), ()))
    for batches, log, expected in ((read, fail, "coordinator log"), (Result(None, problem), None, problem.source)):
        monkeypatch.setattr(log_reader, "read_night_log", log or (lambda *_, **__: ALL_LINES))
        report = night_writes.read_writes_within(CLIENTS, NIGHT, batches, (NOW, NOW))
        assert (report.health, [p.source for p in report.problems]) == (Health.UNKNOWN, [expected])


def test_with_every_run_known_the_report_stands_as_it_is(read_night_writes):
    assert read_night_writes() == CLEAN


def test_the_jobs_of_the_night_are_listed_while_its_batches_are_read(read_night_writes):
    listed, windows = threading.Event(), []

    def preload(_, *window):
        windows.append(window)
        listed.set()

    def read_batches(*_):
        assert listed.wait(5)
        return Batches((), ())

    assert read_night_writes(batches=read_batches, preload=preload) == CLEAN
    assert windows == [night_window(NIGHT)]


def test_jobs_that_cannot_be_listed_beforehand_change_nothing(read_night_writes):
    assert read_night_writes(preload=fail) == CLEAN


def test_without_the_batches_the_report_is_unknown(read_night_writes):
    report = read_night_writes(batches=fail)
    assert (report.health, [problem.source for problem in report.problems]) == (Health.UNKNOWN, ["batches"])


@pytest.mark.parametrize("log", [fail, lambda *_, **__: replace(ALL_LINES, truncated=True)], ids=["down", "partial"])
def test_without_all_lines_of_the_runs_the_report_is_unknown(read_night_writes, log):
    report = read_night_writes(log=log)
    assert report.health is Health.UNKNOWN
    assert "writes of other dates may be among these" in report.problems[0].message
