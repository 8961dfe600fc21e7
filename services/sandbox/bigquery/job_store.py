"""BigQuery's job history: ids used once, states that can be polled, rejected jobs kept with their error."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.core.clock import Clock
from services.gcp.error_table import ERRORS_BY_KEY

Resource = dict[str, Any]
DEFAULT_LOCATION = "US"
MULTI_REGIONS = {"US", "EU"}


def to_epoch_ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


@dataclass
class Job:
    """One job: its resource as jobs.get returns it, and an event that is set when it ends."""

    resource: Resource
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def job_id(self) -> str:
        return str(self.resource["jobReference"]["jobId"])

    @property
    def location(self) -> str:
        return str(self.resource["jobReference"].get("location", DEFAULT_LOCATION))

    @property
    def state(self) -> str:
        return str(self.resource["status"]["state"])

    @property
    def error(self) -> Mapping[str, Any] | None:
        error: Mapping[str, Any] | None = self.resource["status"].get("errorResult")
        return error

    @property
    def created_ms(self) -> int:
        return int(float(self.resource["statistics"]["creationTime"]))


class JobStore:
    """Every job of the project, newest last."""

    def __init__(self, clock: Clock, project: str) -> None:
        self._clock, self._project = clock, project
        self._jobs: dict[str, Job] = {}

    def seed(self, past: list[Resource]) -> None:
        for resource in past:
            job = Job(resource)
            job.done.set()
            self._jobs[job.job_id] = job

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def find(self, job_id: str, location: str) -> Job | None:
        """The job as a client finds it: by id and location, which only US and EU jobs can do without."""
        job = self._jobs.get(job_id)
        if job is None:
            return None
        found = job.location.lower() == location.lower() if location else job.location in MULTI_REGIONS
        return job if found else None

    def all(self, location: str) -> Iterable[Job]:
        """Every job that ran in a location, in no order."""
        return (job for job in self._jobs.values() if job.location.lower() == location.lower())

    def create(self, config: Resource, job_id: str | None, user: str, location: str = DEFAULT_LOCATION) -> Job | None:
        """A new PENDING job, or None when the id is already used."""
        job_id = job_id or uuid.uuid4().hex
        if job_id in self._jobs:
            return None
        resource: Resource = {
            "kind": "bigquery#job",
            "id": f"{self._project}:{location}.{job_id}",
            "etag": uuid.uuid4().hex[:16],
            "selfLink": f"/bigquery/v2/projects/{self._project}/jobs/{job_id}?location={location}",
            "jobReference": {"projectId": self._project, "jobId": job_id, "location": location},
            "user_email": user,
            "configuration": config,
            "status": {"state": "PENDING"},
            "statistics": {"creationTime": to_epoch_ms(self._clock.now())},
        }
        job = self._jobs[job_id] = Job(resource)
        return job

    def start(self, job: Job) -> None:
        job.resource["status"]["state"] = "RUNNING"
        job.resource["statistics"]["startTime"] = to_epoch_ms(self._clock.now())

    def finish(self, job: Job, statistics: Mapping[str, Any] | None = None) -> None:
        now = to_epoch_ms(self._clock.now())
        stats = job.resource["statistics"]
        stats.update({k: v for k, v in (statistics or {}).items() if k not in {"creationTime", "startTime", "endTime"}})
        stats.setdefault("startTime", now)
        stats["endTime"] = now
        job.resource["status"]["state"] = "DONE"
        job.done.set()

    def fail(
        self,
        job: Job,
        error: Mapping[str, Any],
        statistics: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """End a job with an errorResult (`reason`, `message` and optionally `location`), and all its errors where it has several."""
        job.resource["status"].update({"errorResult": dict(error), "errors": [dict(e) for e in errors or (error,)]})
        self.finish(job, statistics)

    def list(self, query: Mapping[str, str], user: str) -> Resource:
        """jobs.list: newest first, filtered and paged as the API does."""
        matching = [job for job in reversed(self._jobs.values()) if _matches(job, query, user)]
        matching.sort(key=lambda job: -job.created_ms)
        start = int(base64.b64decode(query["pageToken"]).decode()) if query.get("pageToken") else 0
        size = min(int(query.get("maxResults") or 1_000), 1_000)
        page = matching[start : start + size]
        full = query.get("projection") == "full"
        response: Resource = {"kind": "bigquery#jobList", "etag": uuid.uuid4().hex[:16]}
        if page:
            response["jobs"] = [_to_list_item(job, full) for job in page]
        if start + size < len(matching):
            response["nextPageToken"] = base64.b64encode(str(start + size).encode()).decode()
        return response


def _matches(job: Job, query: Mapping[str, str], user: str) -> bool:
    checks: list[Callable[[], bool]] = []
    if query.get("minCreationTime"):
        checks.append(lambda: job.created_ms >= int(query["minCreationTime"]))
    if query.get("maxCreationTime"):
        checks.append(lambda: job.created_ms <= int(query["maxCreationTime"]))
    if query.get("stateFilter"):
        checks.append(lambda: job.state.lower() == query["stateFilter"].lower())
    if query.get("allUsers", "false").lower() != "true":
        checks.append(lambda: job.resource.get("user_email", user) == user)
    return all(check() for check in checks)


def _to_list_item(job: Job, full: bool) -> Resource:
    resource = {k: v for k, v in job.resource.items() if k not in {"etag", "selfLink"}}
    resource["state"] = job.state
    if job.error:
        resource["errorResult"] = job.error
    return resource if full else {k: v for k, v in resource.items() if k != "configuration"}


def known_error_result(key: str, **values: object) -> dict[str, str]:
    """The errorResult for a key of services.gcp.error_table; `values` fill its message template."""
    entry = ERRORS_BY_KEY[key]
    error = {"reason": entry.reason, "message": entry.format_message(**values)}
    return {**error, "location": entry.location} if entry.location else error
