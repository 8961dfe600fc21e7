"""The writes of a game date's runs: whatever the hour they ran at, and without those of another date in the same hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from services.batches.log_runs import date_at
from services.batches.reader import Batches, coordinator_runs, read_batches, run_window
from services.core.errors import OnCallError
from services.gcp.clients import Clients
from services.telemetry import log_reader
from services.telemetry.dml_jobs import DmlReport, read_writes
from services.telemetry.log_phrases import STATUS_FILTER


def read_night_writes(clients: Clients, game_date: date) -> DmlReport:
    """The writes of a date's runs. Where neither batches nor log can be read, those of the night. Raises nothing."""
    try:
        batches = read_batches(clients, game_date)
    except OnCallError:
        batches = Batches((), ())
    return read_writes(clients, *run_window(game_date, batches), belongs_to(clients, game_date, batches))


def belongs_to(clients: Clients, game_date: date, batches: Batches) -> Callable[[datetime], bool]:
    """Whether a write at an instant belongs to a game date: by the run that had begun last; every one without a log."""
    starts = [batch.started for batch in batches.batches if batch.started is not None]
    try:
        lines = log_reader.read_night_log(clients, game_date, STATUS_FILTER, run_times=starts)
    except OnCallError:
        return lambda _: True
    if lines.truncated:
        return lambda _: True  # a run whose lines were not read may be the one that wrote
    runs = coordinator_runs(clients, lines.lines)
    return lambda at: date_at(at, runs) == game_date
