"""Slack's incoming webhook and Cloud Scheduler's jobs: small stand-ins, so that messages and schedules can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from services.core.clock import ET
from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import Guard
from services.sandbox.state import World

# When the customer's runs were due in December, ET.
DECEMBER: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
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


def routes(world: World, guarded: Guard) -> list[Route]:
    """The webhook, what it was sent, and the list of jobs."""
    api = _Api(world)
    return [
        Route("/slack/webhook", guarded("slack", "webhook", api.take), methods=["POST"]),
        Route("/slack/messages", api.show, methods=["GET", "DELETE"]),
        Route(
            "/v1/projects/{project}/locations/{region}/jobs",
            guarded("scheduler", "jobs.list", api.jobs),
            methods=["GET"],
        ),
    ]


class _Api:
    def __init__(self, world: World) -> None:
        self.world = world

    async def take(self, request: Request) -> Response:
        """Slack's answers: `ok` as text, or an error as text."""
        try:
            told = await request.json()
        except (ValueError, ClientDisconnect):
            return PlainTextResponse("invalid_payload", 400)
        if not told.get("text"):
            return PlainTextResponse("no_text", 400)
        self.world.messages.append({"at": self.world.clock.now().isoformat(), "text": told["text"]})
        return PlainTextResponse("ok")

    async def show(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.world.messages.clear()
        return JSONResponse(self.world.messages)

    async def jobs(self, request: Request) -> Response:
        place = f"projects/{request.path_params['project']}/locations/{request.path_params['region']}"
        if not place.startswith(f"projects/{self.world.project}/"):
            return JSONResponse(error_body(403, ""), 403)
        now = self.world.clock.now()
        return JSONResponse({"jobs": [{**job, "name": f"{place}/jobs/{job['name']}"} for job in self._now(now)]})

    def _now(self, now: datetime) -> Sequence[dict[str, Any]]:
        told = []
        for job in self.world.jobs:
            plain = {key: value for key, value in job.items() if key != "times"}
            told.append({**plain, **(_times(job["times"], now) if job["state"] == "ENABLED" else {})})
        return told


def december_jobs() -> list[dict[str, Any]]:
    """The jobs as jobs.list tells them; when each is next is told by the clock."""
    return [
        {
            "name": name,
            "description": about,
            "schedule": cron,
            "timeZone": "America/New_York",
            "state": "ENABLED",
            "times": times,
        }
        for name, about, cron, times in DECEMBER
    ]


def _times(times: tuple[str, ...], now: datetime) -> dict[str, Any]:
    """Next and last time of a daily job; one of every quarter of an hour where no time is named."""
    here = now.astimezone(ET)
    if not times:
        last = here.replace(minute=here.minute - here.minute % 15, second=0, microsecond=0)
        return {"scheduleTime": _z(last + timedelta(minutes=15)), "lastAttemptTime": _z(last)}
    hour, minute = map(int, times[0].split(":"))
    today = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    following = today if today > here else today + timedelta(days=1)
    return {"scheduleTime": _z(following), "lastAttemptTime": _z(following - timedelta(days=1))}


def _z(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
