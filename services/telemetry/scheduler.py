"""Cloud Scheduler: the runs it will start, when each is next, and which are missing, paused or failing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.cloud import scheduler_v1

from services.core.clock import format_eastern, to_rfc3339
from services.core.result import DataSource
from services.gcp.clients import Clients
from services.gcp.error_messages import translate_errors
from services.gcp.retry import read_options
from services.telemetry.log_pages import read_entries

OVERDUE_AFTER = timedelta(minutes=10)  # past a job's time without an attempt
ATTEMPT_FINISHED = "type.googleapis.com/google.cloud.scheduler.logging.AttemptFinished"
_MAX_ENDS = 10  # of one job since its call: more than one is a retry


@dataclass(frozen=True)
class ScheduledJob:
    """One job of Cloud Scheduler. `problem` is what keeps it from running; empty when nothing does."""

    name: str
    description: str
    cron: str
    time_zone: str
    next_at: datetime | None
    last_at: datetime | None
    problem: str
    state: str = "ENABLED"
    target: str = ""  # the address that it calls; "" where it publishes a message
    attempt_error: str = ""  # what came of its last attempt, where that failed

    @property
    def paused(self) -> bool:
        """Whether nothing starts it."""
        return self.state != "ENABLED"


@dataclass(frozen=True)
class AttemptEnd:
    """What came of one attempt: `status` is OK or the name of a google.rpc.Code, `http_status` 0 where nothing answered."""

    at: datetime
    status: str
    http_status: int


@dataclass(frozen=True)
class Schedule:
    """Every job of the region by its next time; `missing` are `expected` jobs that do not exist."""

    jobs: tuple[ScheduledJob, ...]
    missing: tuple[str, ...]
    expected: tuple[str, ...]
    source: DataSource

    @property
    def job_problems(self) -> tuple[str, ...]:
        """Sentences about what is wrong with the expected jobs."""
        failing = [job for job in self.jobs if job.problem and job.name in self.expected]
        return (
            *(f"{name} is not in Cloud Scheduler" for name in self.missing),
            *(f"{job.name} {job.problem}" for job in failing),
        )


def read_schedule(clients: Clients) -> Schedule:
    """The jobs of the project's region; raises OnCallError when Cloud Scheduler does not answer.

    An answer without `jobs` is a region without jobs: the JSON of a protobuf leaves an empty list out. Readers at the same time, as
    a page's panels and its checks, share one call.
    """
    return clients.cache.shared("Cloud Scheduler, jobs.list", lambda: _list_jobs(clients))


def _list_jobs(clients: Clients) -> Schedule:
    settings = clients.settings
    with translate_errors("Cloud Scheduler"):
        parent = f"projects/{settings.project}/locations/{settings.region}"
        now = clients.now()
        jobs = tuple(
            _to_scheduled_job(job, now)
            for job in clients.scheduler.list_jobs(parent=parent, **read_options(settings.query_timeout_s))
        )
    expected = tuple(filter(None, settings.expected_jobs.split(",")))
    job_names = {job.name for job in jobs}
    ordered = sorted(jobs, key=lambda job: (job.next_at is None, job.next_at.timestamp() if job.next_at else 0.0))
    missing = tuple(name for name in expected if name not in job_names)
    return Schedule(tuple(ordered), missing, expected, DataSource("Cloud Scheduler, jobs.list", clients.now()))


def read_job(clients: Clients, name: str) -> ScheduledJob:
    """One job by its short name; raises TableNotFound where there is none."""
    with translate_errors("Cloud Scheduler"):
        options = read_options(clients.settings.query_timeout_s)
        return _to_scheduled_job(clients.scheduler.get_job(name=job_resource(clients, name), **options), clients.now())


def read_attempt_end(clients: Clients, name: str, since: datetime) -> AttemptEnd | None:
    """The end of a job's first attempt that ended since an instant, from its execution log; None without one. Raises OnCallError.

    The job itself has the time at which its last attempt began, and the answer of the last one that ended: of the one before.
    """
    search = (
        f'resource.type="cloud_scheduler_job" AND resource.labels.job_id="{name}"'
        f' AND jsonPayload."@type"="{ATTEMPT_FINISHED}" AND timestamp>="{to_rfc3339(since)}"'
    )
    clients.cache.record_log_read()
    with translate_errors("Cloud Logging"):
        entries, _ = read_entries(clients, search, _MAX_ENDS)
    for entry in entries:
        if isinstance(entry.payload, Mapping):
            status = str(entry.payload.get("status") or "OK")
            return AttemptEnd(entry.timestamp, status, int(entry.request.get("status") or 0))
    return None


def job_resource(clients: Clients, name: str) -> str:
    """Cloud Scheduler's full name of a job in this project and region."""
    return f"projects/{clients.settings.project}/locations/{clients.settings.region}/jobs/{name}"


def _to_scheduled_job(job: scheduler_v1.Job, now: datetime) -> ScheduledJob:
    return ScheduledJob(
        name=job.name.rsplit("/", 1)[-1],
        description=job.description,
        cron=job.schedule,
        time_zone=job.time_zone,
        next_at=_to_datetime(job, "schedule_time"),
        last_at=_to_datetime(job, "last_attempt_time"),
        problem=_find_problem(job, now),
        state=job.state.name,
        target=job.http_target.uri,
        attempt_error=_find_attempt_error(job),
    )


def _find_problem(job: scheduler_v1.Job, now: datetime) -> str:
    if job.state != scheduler_v1.Job.State.ENABLED:
        return f"is {job.state.name.lower().replace('_', ' ')}"
    if error := _find_attempt_error(job):
        return error
    due = _to_datetime(job, "schedule_time")
    if due is not None and now - due > OVERDUE_AFTER:
        return f"was due at {format_eastern(due)} and has not been tried"
    return ""


def _find_attempt_error(job: scheduler_v1.Job) -> str:
    if not job.status.code:
        return ""
    message_text = f": {job.status.message}" if job.status.message else ""
    return f"failed at its last attempt (code {job.status.code}{message_text})"


def _to_datetime(job: scheduler_v1.Job, name: str) -> datetime | None:
    at = getattr(job, name, None)
    return datetime.fromisoformat(at.isoformat()) if at else None
