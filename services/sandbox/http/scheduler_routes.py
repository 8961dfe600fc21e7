"""Stand-in for Cloud Scheduler: jobs.list, get, run, pause and resume. A run calls the job's target where that is a service here."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx
from google.rpc import code_pb2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.core.clock import ET, to_rfc3339
from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.state import SandboxState

Job = dict[str, Any]  # Cloud Scheduler's Job with its short name, and the keys of _OWN_KEYS

_JOBS, REGION = "/v1/projects/{project}/locations/{region}/jobs", "us-west2"
_OWN_KEYS = frozenset({"times", "calls", "ran_at"})
_COORDINATOR, _TODAY = "prediction-coordinator", {"game_date": "TODAY"}
# The customer's schedule in December: name, description, cron, daily times (ET), and service, path and body of its call.
DECEMBER_SCHEDULE: tuple[tuple[str, str, str, tuple[str, ...], tuple[str, str, Mapping[str, Any]]], ...] = (
    ("early-predictions", "Early lines", "30 2 * * *", ("02:30",), (_COORDINATOR, "start", _TODAY)),
    (
        *("orphaned-staging-sweep", "Staging tables older than a day", "0 3 * * *", ("03:00",)),
        (_COORDINATOR, "cleanup-staging", {"max_age_hours": 24}),
    ),
    (
        *("overnight-predictions", "The night's run, forced", "0 7 * * *", ("07:00",)),
        (_COORDINATOR, "start", {**_TODAY, "force": True}),
    ),
    ("morning-predictions", "Morning run", "0 10 * * *", ("10:00",), (_COORDINATOR, "start", _TODAY)),
    ("same-day-predictions", "The day's run", "30 11 * * *", ("11:30",), (_COORDINATOR, "start", _TODAY)),
    ("last-call-predictions", "Last call before the games", "0 16 * * *", ("16:00",), (_COORDINATOR, "start", _TODAY)),
    (
        *("tomorrow-predictions", "The next day's run", "0 17 * * *", ("17:00",)),
        (_COORDINATOR, "start", {"game_date": "TOMORROW"}),
    ),
    ("missing-prediction-check", "Who is missing", "0 19 * * *", ("19:00",), ("missing-prediction-check", "", {})),
    ("prediction-stall-check", "Stalled batches", "*/15 * * * *", (), (_COORDINATOR, "check-stalled", {})),
)
# google.rpc.Code that Cloud Scheduler records for an HTTP status: https://cloud.google.com/apis/design/errors#handling_errors
_CODE_BY_STATUS = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 429: 8, 503: 14, 504: 4}
_UNKNOWN, _INTERNAL, _UNAVAILABLE = 2, 13, 14


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """The methods of projects.locations.jobs that are used here."""
    api = _SchedulerHandlers(state)
    return [
        Route(path, wrap_handler("scheduler", f"jobs.{method}", handler), methods=[verb])
        for path, verb, method, handler in (
            (_JOBS, "GET", "list", api.list_jobs),
            (f"{_JOBS}/{{job}}", "GET", "get", api.get_job),
            (f"{_JOBS}/{{job}}:run", "POST", "run", api.run_job),
            (f"{_JOBS}/{{job}}:pause", "POST", "pause", api.pause_job),
            (f"{_JOBS}/{{job}}:resume", "POST", "resume", api.resume_job),
        )
    ]


def december_scheduler_jobs() -> list[Job]:
    """The jobs without their next and last times, which follow the sandbox clock."""
    return [
        {
            "name": name,
            "description": description,
            "schedule": cron,
            "timeZone": "America/New_York",
            "state": "ENABLED",
            "times": times,
            "calls": calls,
        }
        for name, description, cron, times, calls in DECEMBER_SCHEDULE
    ]


class _SchedulerHandlers:
    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._attempts: set[asyncio.Task[None]] = set()  # a task that nothing refers to may be collected

    async def list_jobs(self, request: Request) -> Response:
        if (refusal := self._other_project(request)) is not None:
            return refusal
        parent = request.url.path.removeprefix("/v1/").removesuffix("/jobs")
        jobs = [self._to_resource(job, parent) for job in self._jobs(request)]
        return JSONResponse({"jobs": jobs} if jobs else {})

    async def get_job(self, request: Request) -> Response:
        job = self._find(request)
        return job if isinstance(job, Response) else self._answer(job, request)

    async def run_job(self, request: Request) -> Response:
        job = self._find(request)
        if isinstance(job, Response):
            return job
        if job["state"] != "ENABLED":
            return _wrong_state("ENABLED")
        job["ran_at"] = to_rfc3339(self.state.clock.now())
        attempt = asyncio.create_task(self._attempt(job))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)
        return self._answer(job, request)

    async def _attempt(self, job: Job) -> None:
        """One call of the target; until it has ended, the job has the answer of the attempt before."""
        self._log(job, "AttemptStarted", "INFO")
        code, http_status = await self._call_target(job)
        job.pop("status", None)
        if code:
            job["status"] = {"code": code}
        request = {"httpRequest": {"status": http_status}} if http_status else {}
        self._log(job, "AttemptFinished", "ERROR" if code else "INFO", {"status": code_pb2.Code.Name(code)}, request)

    def _log(self, job: Job, event: str, severity: str, fields: Job | None = None, entry: Job | None = None) -> None:
        """An entry of the execution log: https://cloud.google.com/scheduler/docs/logging"""
        project, name = self.state.project, job["name"]
        service, path, _ = job.get("calls", ("", "", {}))
        payload = {
            "@type": f"type.googleapis.com/google.cloud.scheduler.logging.{event}",
            "jobName": f"projects/{project}/locations/{REGION}/jobs/{name}",
            "targetType": "HTTP",
            "url": self._target(service, path),
        }
        labels = {"project_id": project, "location": REGION, "job_id": name}
        defaults = {
            "logName": f"projects/{project}/logs/cloudscheduler.googleapis.com%2Fexecutions",
            "resource": {"type": "cloud_scheduler_job", "labels": labels},
        }
        written = {"severity": severity, "jsonPayload": payload | (fields or {}), **(entry or {})}
        self.state.logs.add([written], defaults, self.state.logs.ingestion_delay_s)

    async def pause_job(self, request: Request) -> Response:
        return self._set_state(request, "ENABLED", "PAUSED")

    async def resume_job(self, request: Request) -> Response:
        return self._set_state(request, "PAUSED", "ENABLED")

    def _set_state(self, request: Request, needed: str, state: str) -> Response:
        job = self._find(request)
        if isinstance(job, Response):
            return job
        if job["state"] != needed:
            return _wrong_state(needed)
        job["state"] = state
        return self._answer(job, request)

    def _other_project(self, request: Request) -> Response | None:
        is_other = request.path_params["project"] != self.state.project
        return JSONResponse(error_body(403, ""), 403) if is_other else None

    def _jobs(self, request: Request) -> list[Job]:
        return self.state.scheduler_jobs if request.path_params["region"] == REGION else []

    def _find(self, request: Request) -> Job | Response:
        """The job that is named, or the answer that says why there is none."""
        if (refusal := self._other_project(request)) is not None:
            return refusal
        named = (job for job in self._jobs(request) if job["name"] == request.path_params["job"])
        return next(named, None) or JSONResponse(error_body(404, "Job not found."), 404)

    def _answer(self, job: Job, request: Request) -> Response:
        parent = request.url.path.removeprefix("/v1/").partition("/jobs/")[0]
        return JSONResponse(self._to_resource(job, parent))

    def _to_resource(self, job: Job, parent: str) -> Job:
        now = self.state.clock.now()
        resource: Job = {key: value for key, value in job.items() if key not in _OWN_KEYS}
        resource["name"] = f"{parent}/jobs/{job['name']}"
        if "calls" in job:
            service, path, body = job["calls"]
            resource["httpTarget"] = {
                "uri": self._target(service, path),
                "httpMethod": "POST",
                "headers": {"Content-Type": "application/json"},
                "body": base64.b64encode(json.dumps(body).encode()).decode(),
            }
        times = _schedule_times(job["times"], now) if "times" in job else {}
        if job.get("state") != "ENABLED":
            times.pop("scheduleTime", None)
        if "ran_at" in job:
            times["lastAttemptTime"] = max(job["ran_at"], times.get("lastAttemptTime", ""))
        return {**resource, **times}

    def _target(self, service: str, path: str) -> str:
        if f"projects/{self.state.project}/locations/{REGION}/services/{service}" in self.state.cloud_run.services:
            return f"{self.state.cloud_run.base_url}/run/{service}/{path}"
        return f"https://{REGION}-{self.state.project}.cloudfunctions.net/{service}/{path}".rstrip("/")

    async def _call_target(self, job: Job) -> tuple[int, int]:
        """The google.rpc code and the HTTP status of one attempt; a target outside the sandbox is not called, and counts as answered."""
        service, path, body = job.get("calls", ("", "", {}))
        backend = self.state.cloud_run.backends.get(service)
        if backend is None:
            return (_UNAVAILABLE, 503) if self.state.cloud_run.base_url in self._target(service, path) else (0, 200)
        try:
            response = await self.state.instances_http.post(f"{backend}/{path}", json=body)
        except httpx.HTTPError:
            return _UNAVAILABLE, 0
        if response.is_success:
            return 0, response.status_code
        unknown = _INTERNAL if response.is_server_error else _UNKNOWN
        return _CODE_BY_STATUS.get(response.status_code, unknown), response.status_code


def _wrong_state(needed: str) -> Response:
    """google.rpc.Code FAILED_PRECONDITION: https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs/pause"""
    body = error_body(400, f"Job state must be {needed}.")
    body["error"]["status"] = "FAILED_PRECONDITION"
    return JSONResponse(body, 400)


def _schedule_times(daily_times: tuple[str, ...], now: datetime) -> Job:
    """scheduleTime and lastAttemptTime of a daily job; without a time, of a job that runs every 15 minutes."""
    if not daily_times:
        last_attempt = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
        return {
            "scheduleTime": to_rfc3339(last_attempt + timedelta(minutes=15)),
            "lastAttemptTime": to_rfc3339(last_attempt),
        }
    local_now = now.astimezone(ET)
    hour, minute = map(int, daily_times[0].split(":"))
    todays_run = local_now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    next_run = todays_run if todays_run > local_now else todays_run + timedelta(days=1)
    return {"scheduleTime": to_rfc3339(next_run), "lastAttemptTime": to_rfc3339(next_run - timedelta(days=1))}
