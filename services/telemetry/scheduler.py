"""The schedule: which runs Cloud Scheduler will start, when each is next, and which of them are missing, paused or failing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.cloud import scheduler_v1

from services.core.clock import ET
from services.core.result import Source
from services.gcp.clients import Cloud
from services.gcp.error_messages import reading_from

LATE_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class ScheduledJob:
    """One job of Cloud Scheduler. `trouble` is what keeps it from running; empty when nothing does."""

    name: str
    about: str
    cron: str
    time_zone: str
    next_at: datetime | None
    last_at: datetime | None
    trouble: str


@dataclass(frozen=True)
class Schedule:
    """Every job of the region by its next time; `missing` are expected ones that are not there at all."""

    jobs: tuple[ScheduledJob, ...]
    missing: tuple[str, ...]
    expected: tuple[str, ...]
    source: Source

    @property
    def troubles(self) -> tuple[str, ...]:
        """In sentences, what is wrong with the expected jobs."""
        gone = [f"{name} is not in Cloud Scheduler" for name in self.missing]
        return (*gone, *(f"{job.name} {job.trouble}" for job in self.jobs if job.trouble and job.name in self.expected))


def read_schedule(cloud: Cloud) -> Schedule:
    """The jobs of the project's region; raises OnCallError when Cloud Scheduler does not answer."""
    settings = cloud.settings
    with reading_from("Cloud Scheduler"):
        parent = f"projects/{settings.project}/locations/{settings.region}"
        now = cloud.now()
        found = tuple(
            _job(job, now) for job in cloud.scheduler.list_jobs(parent=parent, timeout=settings.query_timeout_s)
        )
    expected = tuple(filter(None, settings.expected_jobs.split(",")))
    names = {job.name for job in found}
    ordered = sorted(found, key=lambda job: (job.next_at is None, job.next_at.timestamp() if job.next_at else 0.0))
    missing = tuple(name for name in expected if name not in names)
    return Schedule(tuple(ordered), missing, expected, Source("Cloud Scheduler, jobs.list", cloud.now()))


def _job(job: scheduler_v1.Job, now: datetime) -> ScheduledJob:
    return ScheduledJob(
        name=job.name.rsplit("/", 1)[-1],
        about=job.description,
        cron=job.schedule,
        time_zone=job.time_zone,
        next_at=_instant(job, "schedule_time"),
        last_at=_instant(job, "last_attempt_time"),
        trouble=_trouble(job, now),
    )


def _trouble(job: scheduler_v1.Job, now: datetime) -> str:
    if job.state != scheduler_v1.Job.State.ENABLED:
        return f"is {job.state.name.lower().replace('_', ' ')}"
    if job.status.code:
        return f"failed at its last attempt (code {job.status.code}{': ' + job.status.message if job.status.message else ''})"
    due = _instant(job, "schedule_time")
    if due is not None and now - due > LATE_AFTER:
        return f"was due at {due.astimezone(ET):%H:%M} ET and has not been tried"
    return ""


def _instant(job: Any, name: str) -> datetime | None:
    at = getattr(job, name, None)
    return datetime.fromisoformat(at.isoformat()) if at else None
