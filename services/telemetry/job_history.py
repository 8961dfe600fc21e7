"""The job history of the predictions table: every mutating statement of a time range, whoever ran it and however busy the project is.

jobs.list is free, but lists every job of the project, newest first and 1,000 a page: it answers where one page holds the range.
Otherwise the region's INFORMATION_SCHEMA.JOBS is asked for the statements of this table alone, which bills 10 MiB; where that is
denied, jobs.list is read on to a bound, and what lies behind the bound is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypedDict, TypeGuard, cast

from google.api_core.page_iterator import Iterator as Listing
from google.cloud import bigquery
from google.cloud.bigquery.job import UnknownJob
from google.cloud.bigquery.retry import DEFAULT_RETRY

from services.core.clock import format_eastern
from services.core.errors import OnCallError, SourceUnavailable
from services.core.result import DataSource, Problem
from services.core.tables import PREDICTIONS_TABLE
from services.gcp import query_catalog
from services.gcp.clients import Clients, read_dataset_location
from services.gcp.error_messages import iterate_pages, translate_errors

MUTATING_STATEMENTS = ("MERGE", "UPDATE", "DELETE")
JOBS_PER_PAGE = 1_000  # the most that jobs.list returns at once
MAX_LISTED_JOBS = 20_000
OVERLAP = timedelta(minutes=2)  # read again at the next look: clocks differ, and a job may be listed late
SOURCE = "BigQuery job history"


@dataclass(frozen=True)
class WriteAttempt:
    """One mutating DML statement against the predictions table, from the job history."""

    job_id: str
    at: datetime
    ended: datetime | None
    statement: str
    ok: bool | None  # None: still running, or pending
    reason: str
    message: str
    user: str
    pending: bool = False  # queued behind the statements that run


@dataclass(frozen=True)
class JobHistory:
    """The attempts of a range, oldest first. With a `problem` the range was read in part, and there may be more."""

    attempts: tuple[WriteAttempt, ...]
    source: DataSource
    problem: Problem | None = None


class _JobRow(TypedDict):
    """A row of the query telemetry.dml_jobs."""

    job_id: str
    creation_time: datetime
    end_time: datetime | None
    state: str
    statement_type: str
    user_email: str | None
    reason: str | None
    message: str | None


def read_job_history(clients: Clients, start: datetime, end: datetime) -> JobHistory:
    """The mutating statements against the predictions table created within [start, end); raises OnCallError.

    With `clients.cache`, a look reads on where the one before it ended, which mostly is one free page.
    """
    if not clients.cache.reuse_answers:
        return _read_range(clients, start, end)
    return clients.cache.revised(
        _cache_key(start, end),
        lambda previous: _read_on(clients, start, end, previous),
        lambda history: len(history.attempts),
    )


def preload_job_history(clients: Clients, start: datetime, end: datetime) -> None:
    """Read the history into the cache where it was never read; raises OnCallError, as the reader after it will."""
    if clients.cache.reuse_answers and _cache_key(start, end) not in clients.cache:
        read_job_history(clients, start, end)


def _cache_key(start: datetime, end: datetime) -> tuple[str, datetime, datetime]:
    return "job history", start, end


def _read_on(clients: Clients, start: datetime, end: datetime, previous: JobHistory | None) -> JobHistory:
    """The history of the range, of which only what can have changed since `previous` is read."""
    if previous is None or previous.problem is not None:
        return _read_range(clients, start, end)
    running = (attempt.at for attempt in previous.attempts if attempt.ok is None)
    since = max(start, min([previous.source.read_at - OVERLAP, *running]))
    if since >= end:
        return previous
    newer = _read_range(clients, since, end)
    attempts = {attempt.job_id: attempt for attempt in (*previous.attempts, *newer.attempts)}
    return JobHistory(_in_order(attempts.values()), newer.source, newer.problem)


def _read_range(clients: Clients, start: datetime, end: datetime) -> JobHistory:
    now = clients.now()
    with translate_errors(SOURCE):
        listing = _list_jobs(clients, start, end)
        jobs = iterate_pages(SOURCE, listing)
        newest = list(islice(jobs, JOBS_PER_PAGE))
    if listing.next_page_token is None:
        return _to_history(newest, now, _hidden_problem(now, newest))
    try:
        return _query_view(clients, start, end)
    except OnCallError as error:
        refusal = error
    with translate_errors(SOURCE):
        newest += islice(jobs, MAX_LISTED_JOBS - len(newest))
    problem = _bound_problem(now, newest, refusal) if listing.next_page_token is not None else None
    return _to_history(newest, now, problem or _hidden_problem(now, newest))


def _bound_problem(now: datetime, newest: Sequence[Any], refusal: OnCallError) -> Problem:
    back_to = format_eastern(newest[-1].created)
    message = f"The newest {len(newest):,} jobs were read, back to {back_to}; what was rejected before is unknown."
    return Problem(SOURCE, now, f"{message} {refusal.message}", refusal.hint)


def _hidden_problem(now: datetime, jobs: Sequence[Any]) -> Problem | None:
    """Without the right to list all jobs, BigQuery lists those of other accounts without their statement, or their kind."""
    hidden = sum(isinstance(job, UnknownJob) or (isinstance(job, bigquery.QueryJob) and not job.query) for job in jobs)
    if not hidden:
        return None
    message = f"{hidden:,} jobs are listed without their statement; whether they were rejected writes is unknown."
    return Problem(SOURCE, now, message, "Grant roles/bigquery.resourceViewer, which has bigquery.jobs.listAll.")


def _to_history(jobs: Sequence[object], now: datetime, problem: Problem | None) -> JobHistory:
    detail = f"jobs.list, all users, {len(jobs):,} jobs"
    attempts = (_to_attempt(job) for job in jobs if _mutates_predictions(job))
    return JobHistory(_in_order(attempts), DataSource(SOURCE, now, detail=detail), problem)


def _list_jobs(clients: Clients, start: datetime, end: datetime) -> Listing:
    timeout_s = clients.settings.query_timeout_s
    return clients.bigquery.list_jobs(
        all_users=True,
        min_creation_time=start,
        max_creation_time=end,
        page_size=JOBS_PER_PAGE,
        retry=DEFAULT_RETRY.with_timeout(timeout_s),
        timeout=timeout_s,
    )


def _query_view(clients: Clients, start: datetime, end: datetime) -> JobHistory:
    """What the JOBS view has of the predictions table, in whose region every job that changes it runs; raises OnCallError."""
    dataset, table_name = PREDICTIONS_TABLE.split(".")
    location = read_dataset_location(clients.bigquery)
    if location is None:
        raise SourceUnavailable("Where the datasets are could not be read, so no region's JOBS view was asked.")
    result = query_catalog.run_query(
        clients,
        "telemetry.dml_jobs",
        tables={"jobs": f"region-{location.lower()}.INFORMATION_SCHEMA.JOBS"},
        start=start,
        until=end,
        dataset=dataset,
        table_name=table_name,
        statements=MUTATING_STATEMENTS,
    )
    return JobHistory(tuple(_row_to_attempt(row) for row in cast("tuple[_JobRow, ...]", result.rows)), result.source)


def _row_to_attempt(row: _JobRow) -> WriteAttempt:
    return WriteAttempt(
        job_id=row["job_id"],
        at=row["creation_time"],
        ended=row["end_time"],
        statement=row["statement_type"],
        ok=None if row["state"] != "DONE" else row["reason"] is None,
        reason=row["reason"] or "",
        message=row["message"] or "",
        user=row["user_email"] or "",
        pending=row["state"] == "PENDING",
    )


def _in_order(attempts: Iterable[WriteAttempt]) -> tuple[WriteAttempt, ...]:
    return tuple(sorted(attempts, key=lambda attempt: attempt.at))


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
        pending=job.state == "PENDING",
    )
