"""DML writes to the predictions table: how many were rejected, why, and how close to the limit; each rejection counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from services.core.clock import night_window, to_game_date
from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem
from services.core.settings import Settings
from services.gcp.clients import Clients
from services.gcp.concurrent_reads import concurrent_reads
from services.gcp.error_table import find_known_error
from services.telemetry import log_phrases, log_reader
from services.telemetry.job_history import JobHistory, WriteAttempt, read_job_history

Source = TypeVar("Source", JobHistory, log_reader.LogLines)

CONTENTION_ERRORS = {"dml_queue_full", "dml_queue_full_quota", "dml_rate", "concurrent_update", "transaction_aborted"}


@dataclass(frozen=True)
class DmlReport:
    """Writes of a window of time. A count is None where its source could not be read, or was read in part only."""

    start: datetime
    end: datetime
    attempted: int | None
    rejected: int | None
    by_minute: tuple[tuple[datetime, int, int], ...]  # (minute, attempted, rejected)
    by_reason: tuple[tuple[str, int], ...]
    peak_outstanding: int | None  # most statements running or queued at once; the limit is 2 + 20
    alert_at: datetime | None  # when the rule (5 in 60 s, for too many writers) would have fired
    rejected_in_logs: int | None  # the same rejections by the worker log, counted once
    attempts: tuple[WriteAttempt, ...]  # in part only where `attempted` is None
    rejected_at_least: int  # what any source shows, however much of it was read
    health: Health
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()
    last_rejected_at: datetime | None = None
    queue: tuple[WriteAttempt, ...] | None = (
        None  # not ended now, of any run, oldest first; None: the window is past, or unknown
    )

    @property
    def rejected_pct(self) -> float | None:
        return 100 * self.rejected / self.attempted if self.attempted and self.rejected is not None else None


def read_writes(
    clients: Clients, start: datetime, end: datetime, belongs: Callable[[datetime], bool] = lambda _: True
) -> DmlReport:
    """Mutating DML against the predictions table between two instants, from job history and worker logs.

    `belongs` leaves out the writes of other runs within the same time.

    The job history counts; the log confirms it, and replaces it when the history cannot be read. Raises nothing:
    with neither source every count is None and `problems` has both.
    """
    sources: list[DataSource] = []
    problems: list[Problem] = []

    def note(source: str, read: Callable[[], Source]) -> Source | None:
        try:
            found = read()
        except OnCallError as error:
            problems.append(Problem.from_error(source, clients.now(), error))
            return None
        sources.append(found.source)
        problems.extend([found.problem] if found.problem is not None else [])
        return found

    with concurrent_reads() as pool:
        jobs = pool.submit(read_job_history, clients, start, end)
        rejections = pool.submit(_read_rejection_lines, clients, start, end, belongs)
    history = note("job history", jobs.result)
    queue = None
    if history is not None:
        if history.problem is None and clients.now() < end:
            queue = tuple(attempt for attempt in history.attempts if attempt.ok is None)
        history = replace(history, attempts=tuple(attempt for attempt in history.attempts if belongs(attempt.at)))
    log_lines = note("worker log", rejections.result)
    report = build_report(start, end, history, log_lines, clients.settings, tuple(sources), tuple(problems))
    return replace(report, queue=queue)


def _read_rejection_lines(
    clients: Clients, start: datetime, end: datetime, belongs: Callable[[datetime], bool]
) -> log_reader.LogLines:
    """Log lines of rejected writes; a window within one game date shares that date's one read."""
    night = to_game_date(start)
    if end <= night_window(night)[1]:
        lines = log_reader.read_night_log(clients, night, log_phrases.REJECTED_WRITES_FILTER)
    else:
        lines = log_reader.read_lines(
            clients, log_phrases.REJECTED_WRITES_FILTER, start, end, limit=log_reader.MAX_NIGHT_LINES
        )
    rejections = (
        line
        for line in lines.lines
        if start <= line.at < end and belongs(line.at) and log_phrases.is_rejected_write(line.message)
        for _ in range(line.repeats)  # 90 workers may write the same words in one second
    )
    return replace(lines, lines=tuple(rejections))


def build_report(
    start: datetime,
    end: datetime,
    history: JobHistory | None,
    log_lines: log_reader.LogLines | None,
    settings: Settings,
    sources: tuple[DataSource, ...] = (),
    problems: tuple[Problem, ...] = (),
) -> DmlReport:
    """Combine job history and log; a rejection that is in both is counted once, from the job history.

    `log_lines` are those of rejected writes. A source that was read in part counts nothing, but what it shows is shown.
    """
    attempts = history.attempts if history is not None else ()
    complete = history is not None and history.problem is None
    rejected = [a for a in attempts if a.ok is False]
    rejection_lines = log_lines.lines if log_lines is not None else ()
    rejected_in_logs = None if log_lines is None or log_lines.truncated else len(rejection_lines)
    rejections: Sequence[WriteAttempt | log_reader.LogLine] = rejected
    if not complete and len(rejection_lines) > len(rejected):
        rejections = rejection_lines
    times = sorted(rejection.at for rejection in rejections if is_contention_error(rejection.message))
    alert_at = first_burst(times, settings.dml_alert_errors, timedelta(seconds=settings.dml_alert_window_s))
    return DmlReport(
        start=start,
        end=end,
        attempted=len(attempts) if complete else None,
        rejected=len(rejected) if complete else None,
        by_minute=count_by_minute(attempts),
        by_reason=tuple(Counter(_reason(rejection.message) for rejection in rejections).most_common()),
        peak_outstanding=peak_outstanding(attempts) if complete else None,
        alert_at=alert_at,
        rejected_in_logs=rejected_in_logs,
        attempts=attempts,
        rejected_at_least=len(rejections),
        health=_health(complete, rejected_in_logs, len(rejections), alert_at),
        sources=sources,
        problems=problems,
        last_rejected_at=max((rejection.at for rejection in rejections), default=None),
    )


def is_contention_error(message: str) -> bool:
    """Whether too many concurrent writers may be the cause, so that fewer would help; not so for a wrong schema."""
    known_error = find_known_error(message)
    return known_error is None or known_error.key in CONTENTION_ERRORS


def first_burst(times: Sequence[datetime], errors: int, window: timedelta) -> datetime | None:
    """When the rule "`errors` rejections within `window`" is first met; `times` are in order."""
    pairs = zip(times[errors - 1 :], times, strict=False)
    return next((last for last, first in pairs if last - first <= window), None)


def peak_outstanding(attempts: Iterable[WriteAttempt]) -> int:
    """The most statements that were running or queued at one instant; rejected ones never were."""
    accepted = [attempt for attempt in attempts if attempt.ok is not False]
    starts = [(attempt.at, 1) for attempt in accepted]
    ends = [(attempt.ended, -1) for attempt in accepted if attempt.ended is not None]
    level = peak = 0
    for _, step in sorted(starts + ends):
        level += step
        peak = max(peak, level)
    return peak


def _health(complete: bool, rejected_in_logs: int | None, rejected: int, alert_at: datetime | None) -> Health:
    if alert_at is not None:
        return Health.CRITICAL
    if rejected or rejected_in_logs:
        return Health.WARNING
    return Health.OK if complete and rejected_in_logs is not None else Health.UNKNOWN


def count_by_minute(attempts: Sequence[WriteAttempt]) -> tuple[tuple[datetime, int, int], ...]:
    """(minute, attempted, rejected) of every minute in which a statement was sent, in order."""
    minutes = Counter(a.at.replace(second=0, microsecond=0) for a in attempts)
    rejected = Counter(a.at.replace(second=0, microsecond=0) for a in attempts if a.ok is False)
    return tuple((minute, minutes[minute], rejected[minute]) for minute in sorted(minutes))


def _reason(message: str) -> str:
    known_error = find_known_error(message)
    return known_error.meaning if known_error is not None else message.split("\n", 1)[0][:120]
