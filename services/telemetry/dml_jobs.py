"""DML writes to the predictions table: how many were rejected, why, and how close to the limit; each rejection counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeGuard

from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.core.clock import night_window, to_game_date
from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem
from services.core.settings import Settings
from services.core.tables import PREDICTIONS_TABLE
from services.gcp.clients import Clients
from services.gcp.error_messages import iterate_pages, translate_errors
from services.gcp.error_table import find_known_error
from services.telemetry import log_phrases, log_reader

MUTATING_STATEMENTS = {"MERGE", "UPDATE", "DELETE"}
MAX_JOBS = 20_000
CONTENTION_ERRORS = {"dml_queue_full", "dml_queue_full_quota", "dml_rate", "concurrent_update", "transaction_aborted"}


@dataclass(frozen=True)
class WriteAttempt:
    """One mutating DML statement against the predictions table, from the job history."""

    job_id: str
    at: datetime
    ended: datetime | None
    statement: str
    ok: bool | None  # None: still running
    reason: str
    message: str
    user: str


@dataclass(frozen=True)
class DmlReport:
    """Writes of a window of time. Counts are None when neither job history nor logs could be read."""

    start: datetime
    end: datetime
    attempted: int | None
    rejected: int | None
    by_minute: tuple[tuple[datetime, int, int], ...]  # (minute, attempted, rejected)
    by_reason: tuple[tuple[str, int], ...]
    peak_outstanding: int | None  # most statements running or queued at once; the limit is 2 + 20
    alert_at: datetime | None  # when the rule (5 in 60 s, for too many writers) would have fired
    rejected_in_logs: int | None  # the same rejections by the worker log, counted once
    attempts: tuple[WriteAttempt, ...]
    health: Health
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def rejected_pct(self) -> float | None:
        return 100 * self.rejected / self.attempted if self.attempted and self.rejected is not None else None


def read_writes(clients: Clients, start: datetime, end: datetime) -> DmlReport:
    """Mutating DML against the predictions table between two instants, from job history and worker logs.

    The job history counts; the log confirms it, and replaces it when the history cannot be read. Raises nothing:
    with neither source every count is None and `problems` has both.
    """
    sources: list[DataSource] = []
    problems: list[Problem] = []
    attempts: tuple[WriteAttempt, ...] | None = None
    rejection_lines: tuple[log_reader.LogLine, ...] | None = None
    try:
        attempts = _read_attempts(clients, start, end)
        sources.append(DataSource("BigQuery job history", clients.now(), detail="jobs.list, all users"))
    except OnCallError as error:
        problems.append(Problem.from_error("job history", clients.now(), error))
    try:
        lines = _read_rejection_lines(clients, start, end)
        rejection_lines = tuple(
            line
            for line in lines.lines
            if start <= line.at < end and log_phrases.is_rejected_write(line.message)
            for _ in range(line.repeats)  # 90 workers may write the same words in one second
        )
        sources.append(lines.source)
    except OnCallError as error:
        problems.append(Problem.from_error("worker log", clients.now(), error))
    return build_report(start, end, attempts, rejection_lines, clients.settings, tuple(sources), tuple(problems))


def _read_rejection_lines(clients: Clients, start: datetime, end: datetime) -> log_reader.LogLines:
    """Log lines of rejected writes; a window within one game date shares that date's one read."""
    night = to_game_date(start)
    if end <= night_window(night)[1]:
        return log_reader.read_night_log(clients, night)
    return log_reader.read_lines(
        clients, log_phrases.REJECTED_WRITES_FILTER, start, end, limit=log_reader.MAX_NIGHT_LINES
    )


def build_report(
    start: datetime,
    end: datetime,
    attempts: tuple[WriteAttempt, ...] | None,
    rejection_lines: tuple[log_reader.LogLine, ...] | None,
    settings: Settings,
    sources: tuple[DataSource, ...] = (),
    problems: tuple[Problem, ...] = (),
) -> DmlReport:
    """Combine job history and log; a rejection that is in both is counted once, from the job history."""
    rejected = [a for a in attempts or () if a.ok is False]
    rejections = rejected if attempts is not None else rejection_lines or ()
    times = sorted(rejection.at for rejection in rejections if is_contention_error(rejection.message))
    alert_at = first_burst(times, settings.dml_alert_errors, timedelta(seconds=settings.dml_alert_window_s))
    rejected_in_logs = None if rejection_lines is None else len(rejection_lines)
    return DmlReport(
        start=start,
        end=end,
        attempted=None if attempts is None else len(attempts),
        rejected=None if attempts is None else len(rejected),
        by_minute=_count_by_minute(attempts or ()),
        by_reason=tuple(Counter(_reason(rejection.message) for rejection in rejections).most_common()),
        peak_outstanding=None if attempts is None else peak_outstanding(attempts),
        alert_at=alert_at,
        rejected_in_logs=rejected_in_logs,
        attempts=attempts or (),
        health=_health(attempts, rejected_in_logs, len(rejected), alert_at),
        sources=sources,
        problems=problems,
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


def _health(attempts: object, rejected_in_logs: int | None, rejected: int, alert_at: datetime | None) -> Health:
    if alert_at is not None:
        return Health.CRITICAL
    if rejected or rejected_in_logs:
        return Health.WARNING
    return Health.UNKNOWN if attempts is None or rejected_in_logs is None else Health.OK


def _count_by_minute(attempts: tuple[WriteAttempt, ...]) -> tuple[tuple[datetime, int, int], ...]:
    minutes = Counter(a.at.replace(second=0, microsecond=0) for a in attempts)
    rejected = Counter(a.at.replace(second=0, microsecond=0) for a in attempts if a.ok is False)
    return tuple((minute, minutes[minute], rejected[minute]) for minute in sorted(minutes))


def _reason(message: str) -> str:
    known_error = find_known_error(message)
    return known_error.meaning if known_error is not None else message.split("\n", 1)[0][:120]


def _read_attempts(clients: Clients, start: datetime, end: datetime) -> tuple[WriteAttempt, ...]:
    timeout_s = clients.settings.query_timeout_s
    with translate_errors("BigQuery job history"):
        job_iterator = clients.bigquery.list_jobs(
            all_users=True,
            min_creation_time=start,
            max_creation_time=end,
            page_size=1000,
            retry=DEFAULT_RETRY.with_timeout(timeout_s),
            timeout=timeout_s,
        )
        newest_jobs = islice(iterate_pages("BigQuery job history", job_iterator), MAX_JOBS)
        jobs = [job for job in newest_jobs if _mutates_predictions(job)]
    return tuple(sorted((_to_attempt(job) for job in jobs), key=lambda attempt: attempt.at))


def _mutates_predictions(job: object) -> TypeGuard[bigquery.QueryJob]:
    if not isinstance(job, bigquery.QueryJob) or job.statement_type not in MUTATING_STATEMENTS:
        return False
    target = job.destination
    return target is not None and f"{target.dataset_id}.{target.table_id}" == PREDICTIONS_TABLE


def _to_attempt(job: bigquery.QueryJob) -> WriteAttempt:
    error = job.error_result or {}
    return WriteAttempt(
        job_id=job.job_id,
        at=job.created,
        ended=job.ended,
        statement=job.statement_type,
        ok=None if job.state != "DONE" else not error,
        reason=str(error.get("reason", "")),
        message=str(error.get("message", "")),
        user=job.user_email or "",
    )
