"""Cloud Scheduler against the manifest: which declared jobs are missing, paused, failing, or run otherwise than declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.core.result import DataSource, Health, worst
from services.gcp.clients import Clients
from services.plumbing.declared_states import count_as_declared, list_failing, sort_worst_first
from services.plumbing.manifest import DeclaredJob, read_declared_jobs
from services.telemetry.scheduler import Schedule, ScheduledJob, read_schedule


@dataclass(frozen=True)
class JobStatus:
    """A declared job beside the one that is there; `problems` are sentences that follow its name."""

    declared: DeclaredJob
    job: ScheduledJob | None
    problems: tuple[str, ...]
    health: Health

    @property
    def name(self) -> str:
        """The job's short name."""
        return self.declared.name


@dataclass(frozen=True)
class JobReport:
    """Every declared job, worst first; `undeclared` are jobs that are there and that the manifest does not have."""

    jobs: tuple[JobStatus, ...]
    undeclared: tuple[ScheduledJob, ...]
    source: DataSource

    @property
    def failing(self) -> tuple[JobStatus, ...]:
        """The declared jobs that are not as they should be."""
        return list_failing(self.jobs)

    @property
    def health(self) -> Health:
        """That of the worst job."""
        return worst(job.health for job in self.jobs) if self.jobs else Health.NONE_EXPECTED

    @property
    def headline(self) -> str:
        """How many are as declared, and the first that is not."""
        return count_as_declared("job", self.jobs)


def read_job_report(clients: Clients) -> JobReport:
    """Cloud Scheduler's jobs beside the manifest; raises OnCallError where either cannot be read."""
    return compare_jobs(read_declared_jobs(clients.settings), read_schedule(clients))


def compare_jobs(declared: Iterable[DeclaredJob], schedule: Schedule) -> JobReport:
    """Each declared job with what is wrong with it. Jobs that start the runs are critical, others a warning. Pure."""
    actual = {job.name: job for job in schedule.jobs}
    statuses = sort_worst_first(
        _compare(entry, actual.get(entry.name), entry.name in schedule.expected) for entry in declared
    )
    names = {status.name for status in statuses}
    undeclared = tuple(job for job in schedule.jobs if job.name not in names)
    return JobReport(statuses, undeclared, schedule.source)


def _compare(declared: DeclaredJob, job: ScheduledJob | None, starts_runs: bool) -> JobStatus:
    trouble = Health.CRITICAL if starts_runs else Health.WARNING
    if job is None:
        return JobStatus(declared, None, ("is not in Cloud Scheduler",), trouble)
    differences = tuple(_differences(declared, job))
    stopped = (job.problem,) if job.problem and not (job.paused and not declared.enabled) else ()
    health = trouble if stopped else Health.WARNING if differences else Health.OK
    return JobStatus(declared, job, (*stopped, *differences), health)


def _differences(declared: DeclaredJob, job: ScheduledJob) -> Iterator[str]:
    if not declared.enabled and not job.paused:
        yield "is enabled, and declared as paused"
    if (job.cron, job.time_zone) != (declared.schedule, declared.time_zone):
        yield f"runs at {job.cron} {job.time_zone}, declared {declared.schedule} {declared.time_zone}"
    if not matches_target(declared.target, job.target):
        yield f"calls {job.target or 'nothing by HTTP'}, declared {declared.target}"


def matches_target(declared: str, address: str) -> bool:
    """Whether an address calls a declared service and path. A service has several addresses, each with its name in it. Pure."""
    service, slash, path = declared.partition("/")
    parts = urlsplit(address)
    # .../{service}-756957797294.us-west2.run.app/{path}, and .../run/{service}/{path} where a proxy stands before it
    named = parts.netloc.startswith(f"{service}-") or f"/{service}/" in f"{parts.path}/"
    return named and (not slash or parts.path.rstrip("/").endswith(f"/{path.rstrip('/')}"))
