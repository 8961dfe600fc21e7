"""What the workers' log says of a date's players: generated, not generated, rejected on write; with or without a name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.batches.log_runs import LogRun, date_of_line
from services.telemetry import log_phrases
from services.telemetry.log_reader import LogLine

# A worker says who was hit right after it has logged the error itself.
MAX_NAME_DELAY = timedelta(seconds=2)


@dataclass(frozen=True)
class Rejection:
    """A rejected write: the line that reports it, and BigQuery's error."""

    line: LogLine
    error: str


@dataclass(frozen=True)
class Generation:
    """Rows that were generated for a player, and the line that reports them."""

    line: LogLine
    rows: int


@dataclass(frozen=True)
class WorkerLog:
    """The newest line about each player, and the rejections that name nobody, each as often as it was logged.

    `published` is the most requests that a run of the date has published; None where no line says so.
    """

    generated_rows: Mapping[str, Generation] = field(default_factory=dict)
    not_generated: Mapping[str, LogLine] = field(default_factory=dict)
    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    unnamed: tuple[Rejection, ...] = ()
    published: int | None = None
    was_begun: bool = False

    @property
    def wrote_directly(self) -> bool:
        """Whether a rejection shows that workers ran DML: a staged write is a load job, which meets no DML limit."""
        return any("DML" in rejection.error for rejection in (*self.rejected.values(), *self.unnamed))


def read_worker_log(worker_lines: Iterable[LogLine], runs: Sequence[LogRun], game_date: date) -> WorkerLog:
    """Of the lines of several runs, oldest first, those about one game date. Pure."""
    generated_rows: dict[str, Generation] = {}
    not_generated: dict[str, LogLine] = {}
    rejected: dict[str, Rejection] = {}
    unnamed: list[Rejection] = []
    for line in worker_lines:
        if date_of_line(line, runs) != game_date:
            continue
        if (generated := log_phrases.generated_player(line.message)) is not None:
            generated_rows[generated[0]] = Generation(line, generated[1])
        elif log_phrases.is_rejected_write(line.message):
            rejection = Rejection(line, log_phrases.rejection_error(line.message))
            player = log_phrases.rejected_player(line.message)
            if player is None:
                unnamed.extend([rejection] * line.repeats)
            else:
                rejected[player] = rejection
        elif (player := log_phrases.player_of_write(line.message)) is not None:
            rejected[player] = _take_unnamed(unnamed, line)
        elif (player := log_phrases.ungenerated_player(line.message)) is not None:
            not_generated[player] = line
    of_date = [run for run in runs if run.game_date == game_date]
    published = [log_phrases.published_requests(line.message) for run in of_date for line in run.lines]
    return WorkerLog(
        generated_rows,
        not_generated,
        rejected,
        tuple(unnamed),
        max((count for count in published if count is not None), default=None),
        bool(of_date),
    )


def _take_unnamed(unnamed: list[Rejection], line: LogLine) -> Rejection:
    """The rejection that a line names the player of: the oldest one just before it; without one, the line itself."""
    for index, rejection in enumerate(unnamed):
        if line.at - rejection.line.at <= MAX_NAME_DELAY:
            return unnamed.pop(index)
    return Rejection(line, line.message)
