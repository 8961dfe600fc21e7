"""Which run each log line belongs to, by the ids and dates in the lines and their order: never by the hour of the day.

The customer's coordinator holds one run at a time and seldom names it: a line without an id belongs to the run that it began
last, and the end of a consolidation to the run whose consolidation it began last. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from services.batches.ids import find_batch_ids, read_batch_date, read_batch_start
from services.core.clock import to_game_date
from services.telemetry import log_phrases
from services.telemetry.log_reader import LogLine

# The clocks of coordinator and workers differ, and an id is made some seconds after the first line of its run.
MAX_START_SKEW = timedelta(minutes=2)
RUN_TAIL = timedelta(minutes=5)  # workers may write of a run after its coordinator's last line


@dataclass
class LogRun:
    """One run as the coordinator's lines tell it. `game_date` None: its id has none; `batch_id` "": no line names it."""

    game_date: date | None
    batch_id: str
    started: datetime
    lines: list[LogLine] = field(default_factory=list)
    announced: bool = False  # whether its beginning was read, and not only a later line

    @property
    def begun(self) -> datetime:
        """When it began: where its first lines are missing, by the time in its id."""
        return self.started if self.announced else read_batch_start(self.batch_id) or self.started

    def may_be(self, batch_id: str) -> bool:
        """Whether this run, which no line names, may be the one of an id: by the date and the time in the id."""
        begun = read_batch_start(batch_id)
        return self.game_date == read_batch_date(batch_id) and (
            begun is None or abs(self.started - begun) <= MAX_START_SKEW
        )


def find_log_runs(
    coordinator_lines: Iterable[LogLine], recorded_starts: Mapping[str, datetime] | None = None
) -> tuple[LogRun, ...]:
    """The runs of a coordinator, from its lines oldest first.

    `recorded_starts` says when the batches of a ledger began, by id: of these too no line without an id is an earlier run's.
    """
    runs: list[LogRun] = []
    merging: LogRun | None = None  # whose consolidation began last, unless a run has begun since
    waiting = sorted((recorded_starts or {}).items(), key=lambda start: start[1], reverse=True)
    for line in coordinator_lines:
        while waiting and waiting[-1][1] <= line.at:
            batch_id, started = waiting.pop()
            if not any(run.batch_id == batch_id for run in runs):
                runs.append(LogRun(read_batch_date(batch_id), batch_id, started, announced=True))
                merging = None
        if "Creating prediction requests" in line.message:
            continue
        if "already in progress" in line.message:
            if runs and runs[-1].announced and len(runs[-1].lines) == 1:
                runs.pop()  # it was refused
            continue
        begun = len(runs)
        owners = _runs_of_line(line, runs, merging)
        if log_phrases.begins_consolidation(line.message):
            merging = owners[-1] if owners else None
        elif len(runs) > begun:
            merging = None
        for run in owners:
            run.lines.append(line)
    return tuple(runs)


def _runs_of_line(line: LogLine, runs: list[LogRun], merging: LogRun | None) -> Sequence[LogRun]:
    """The runs that a line belongs to; one that is new is added to `runs`."""
    batch_ids, started_date = find_batch_ids(line.message), log_phrases.started_date(line.message)
    if started_date is not None and not any(run.batch_id in batch_ids for run in runs):
        runs.append(LogRun(started_date, next(iter(batch_ids), ""), line.at, announced=True))
        return runs[-1:]
    if batch_ids:
        return [_find_or_add(batch_id, line, runs) for batch_id in batch_ids]
    ends_consolidation = log_phrases.ends_consolidation(line.message) is not None
    if ends_consolidation and merging is not None:
        return [merging]
    if not runs and ends_consolidation:
        runs.append(LogRun(to_game_date(line.at), "", line.at))  # its beginning was not read
    return runs[-1:]


def _find_or_add(batch_id: str, line: LogLine, runs: list[LogRun]) -> LogRun:
    for run in reversed(runs):
        if run.batch_id == batch_id:
            return run
    for run in reversed(runs):
        if not run.batch_id and run.may_be(batch_id):
            run.batch_id = batch_id
            return run
    game_date = read_batch_date(batch_id)
    runs.append(LogRun(game_date, batch_id, line.at))
    return runs[-1]


def date_of_line(line: LogLine, runs: Sequence[LogRun]) -> date:
    """The game date that a worker's line is about: by its words, else by the run that had begun last."""
    named = log_phrases.date_in_line(line.message)
    ids = () if named else find_batch_ids(line.message)
    return named or next(filter(None, map(read_batch_date, ids)), None) or date_at(line.at, runs)


def is_of_another_date(line: LogLine, runs: Sequence[LogRun], game_date: date) -> bool:
    """Whether a line belongs to a run of another date: by its words, or because it lies between that run's first and last."""
    line_date = date_of_line(line, runs)
    if line_date == game_date:
        return False
    spans = [(run.begun, run.lines[-1].at + RUN_TAIL) for run in runs if run.game_date == line_date and run.lines]
    named = log_phrases.date_in_line(line.message) is not None or bool(find_batch_ids(line.message))
    return named or any(start <= line.at <= end for start, end in spans)


def date_at(at: datetime, runs: Sequence[LogRun]) -> date:
    """The game date of the run that had begun last at an instant; without one, that of the night."""
    begun = [run for run in runs if run.begun <= at and run.game_date is not None]
    newest = max(begun, key=lambda run: run.begun, default=None)
    return newest.game_date if newest is not None and newest.game_date is not None else to_game_date(at)
