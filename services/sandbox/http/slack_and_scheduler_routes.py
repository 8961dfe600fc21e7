"""Stand-ins for Slack's incoming webhook and Cloud Scheduler's jobs.list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.core.clock import ET, to_rfc3339
from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.state import SandboxState

# The customer's schedule in December: name, description, cron, daily times (ET).
DECEMBER_SCHEDULE: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("early-predictions", "Early lines", "30 2 * * *", ("02:30",)),
    ("orphaned-staging-sweep", "Staging tables older than a day", "0 3 * * *", ("03:00",)),
    ("overnight-predictions", "The night's run, forced", "0 7 * * *", ("07:00",)),
    ("morning-predictions", "Morning run", "0 10 * * *", ("10:00",)),
    ("same-day-predictions", "The day's run", "30 11 * * *", ("11:30",)),
    ("last-call-predictions", "Last call before the games", "0 16 * * *", ("16:00",)),
    ("tomorrow-predictions", "The next day's run", "0 17 * * *", ("17:00",)),
    ("missing-prediction-check", "Who is missing", "0 19 * * *", ("19:00",)),
    ("prediction-stall-check", "Stalled batches", "*/15 * * * *", ()),
)


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """The webhook, the messages it received, and the scheduler jobs."""
    api = _SlackAndSchedulerHandlers(state)
    return [
        Route("/slack/webhook", wrap_handler("slack", "webhook", api.receive_message), methods=["POST"]),
        Route("/slack/messages", api.list_messages, methods=["GET", "DELETE"]),
        Route(
            "/v1/projects/{project}/locations/{region}/jobs",
            wrap_handler("scheduler", "jobs.list", api.list_jobs),
            methods=["GET"],
        ),
    ]


class _SlackAndSchedulerHandlers:
    def __init__(self, state: SandboxState) -> None:
        self.state = state

    async def receive_message(self, request: Request) -> Response:
        """Slack's responses: plain text `ok`, or an error code as plain text."""
        try:
            payload = await request.json()
        except (ValueError, ClientDisconnect):
            return PlainTextResponse("invalid_payload", 400)
        if not payload.get("text"):
            return PlainTextResponse("no_text", 400)
        self.state.slack_messages.append({"at": self.state.clock.now().isoformat(), "text": payload["text"]})
        return PlainTextResponse("ok")

    async def list_messages(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.state.slack_messages.clear()
        return JSONResponse(self.state.slack_messages)

    async def list_jobs(self, request: Request) -> Response:
        parent = f"projects/{request.path_params['project']}/locations/{request.path_params['region']}"
        if not parent.startswith(f"projects/{self.state.project}/"):
            return JSONResponse(error_body(403, ""), 403)
        now = self.state.clock.now()
        return JSONResponse({"jobs": [{**job, "name": f"{parent}/jobs/{job['name']}"} for job in self._jobs_at(now)]})

    def _jobs_at(self, now: datetime) -> Sequence[dict[str, Any]]:
        resources = []
        for job in self.state.scheduler_jobs:
            resource = {key: value for key, value in job.items() if key != "times"}
            resources.append({**resource, **(_schedule_times(job["times"], now) if job["state"] == "ENABLED" else {})})
        return resources


def december_scheduler_jobs() -> list[dict[str, Any]]:
    """The jobs as jobs.list returns them, without their next and last times, which follow the sandbox clock."""
    return [
        {
            "name": name,
            "description": description,
            "schedule": cron,
            "timeZone": "America/New_York",
            "state": "ENABLED",
            "times": times,
        }
        for name, description, cron, times in DECEMBER_SCHEDULE
    ]


def _schedule_times(daily_times: tuple[str, ...], now: datetime) -> dict[str, Any]:
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
