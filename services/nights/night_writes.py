"""The writes and log lines of a game date's runs: whatever their hour, and without those of another date in the same hours."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from math import ceil

from services.batches.log_runs import LogRun, date_at, is_of_another_date
from services.batches.reader import Batches, coordinator_runs, read_batches, run_window
from services.core.errors import OnCallError
from services.core.result import Health, Problem, Result, worst
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.policy.dml_limits import MAX_QUEUED_DML, MAX_RUNNING_DML
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport, read_writes
from services.telemetry.job_history import preload_job_history
from services.telemetry.log_phrases import STATUS_FILTER
from services.telemetry.log_reader import LogLines


def read_night_writes(clients: Clients, game_date: date) -> DmlReport:
    """The writes of a date's runs. Where neither batches nor log can be read, those of the night, and its problems say so.

    Raises nothing.
    """
    with concurrent_reads() as pool:
        # Most batches are within their night: its jobs are listed while the batches are still being read.
        pool.submit(preload_job_history, clients, *run_window(game_date, None))
        try:
            batches = Result(read_batches(clients, game_date))
        except OnCallError as error:
            batches = Result(None, Problem.from_error("batches", clients.now(), error))
    return read_writes_within(clients, game_date, batches, run_window(game_date, batches.value))


def read_writes_within(
    clients: Clients, game_date: date, batches: Result[Batches], window: tuple[datetime, datetime]
) -> DmlReport:
    """Those of a part of the time of a date's runs: each write belongs to the run that had begun last. Raises nothing."""
    problems = [batches.problem] if batches.problem is not None else []
    runs = _read_runs(clients, game_date, batches.value or Batches((), ()))
    if runs is None:
        message = "Which runs there were could not be read, so writes of other dates may be among these."
        problems.append(Problem("coordinator log", clients.now(), message, "Usually transient: retry in a minute."))
    report = read_writes(clients, *window, lambda at: _belongs(at, runs, game_date))
    if not problems:
        return report
    health = worst((report.health, Health.UNKNOWN))
    return replace(report, health=health, problems=(*report.problems, *problems))


def describe_queue(report: DmlReport) -> str:
    """How many statements run and are queued now, of how many that may; "" where that is not known. Pure."""
    if report.queue is None:
        return ""
    pending = sum(attempt.pending for attempt in report.queue)
    return f"{len(report.queue) - pending} of {MAX_RUNNING_DML} running, {pending} of {MAX_QUEUED_DML} queued"


def read_night_lines(clients: Clients, game_date: date, condition: str) -> LogLines:
    """The lines of a search in the hours of a date's night and runs, without those of another date's runs.

    Raises OnCallError when the log cannot be read. Where the runs are not known, every line of these hours is returned.
    """
    try:
        batches = read_batches(clients, game_date)
    except OnCallError:
        batches = Batches((), ())
    found = log_reader.read_lines(clients, condition, *run_window(game_date, batches))
    runs = _read_runs(clients, game_date, batches) or ()
    return replace(found, lines=tuple(line for line in found.lines if not is_of_another_date(line, runs, game_date)))


def _belongs(at: datetime, runs: tuple[LogRun, ...] | None, game_date: date) -> bool:
    return runs is None or date_at(at, runs) == game_date


def _read_runs(clients: Clients, game_date: date, batches: Batches) -> tuple[LogRun, ...] | None:
    """The runs of every date in these nights; None where their log cannot be read, or not all of it."""
    start, end = run_window(game_date, batches)
    hours = [start + n * log_reader.HOUR for n in range(ceil((end - start) / log_reader.HOUR))]
    try:
        lines = log_reader.read_night_log(clients, game_date, STATUS_FILTER, run_times=hours)
    except OnCallError:
        return None
    # A run whose lines were not read may be the one that wrote.
    return None if lines.truncated else coordinator_runs(clients, lines.lines)
