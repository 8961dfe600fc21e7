"""The coordinator's HTTP face, in the customer's shapes: POST /start, GET /status, POST /resume, health."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.batches.ids import date_of
from services.batches.ledger import Entry, Ledger
from services.batches.reader import Batch, read_batches
from services.batches.state import LIVE, BatchState
from services.core.clock import eastern_day
from services.core.errors import BadInput, OnCallError
from services.gcp.clients import Cloud
from services.pipeline.coordinator.batch_runner import AlreadyRunning, Coordinator, NoPlayers, Run

log_line = logging.getLogger("coordinator")
Answer = tuple[int, dict[str, Any]]
# The customer's schedulers may send any of these; those that mean nothing here are taken and told back as ignored.
FIELDS = {"game_date", "min_minutes", "force", "players", "correlation_id", "parent_processor", "started_by"}
IGNORED = {
    "use_multiple_lines",
    "dataset_prefix",
    "skip_completeness_check",
    "skip_postponement_check",
    "require_real_lines",
    "prediction_run_mode",
}


@dataclass(frozen=True)
class Asked:
    """A checked /start request."""

    game_date: date
    force: bool
    min_minutes: float
    players: tuple[str, ...]
    started_by: str


class Desk:
    """Answers requests; a run goes on in a thread of its own after its 202."""

    def __init__(self, cloud: Cloud, coordinator: Coordinator) -> None:
        self._cloud, self._coordinator, self._ledger = cloud, coordinator, Ledger(cloud)

    def start(self, told: Mapping[str, Any]) -> Answer:
        asked = read(told, eastern_day(self._cloud.now()))
        run = self._coordinator.plan(
            asked.game_date, min_minutes=asked.min_minutes, players=asked.players, started_by=asked.started_by
        )
        if run is None:
            return 200, {
                "status": "no_games_scheduled",
                "game_date": str(asked.game_date),
                "message": "No games, so nothing was started.",
            }
        if not asked.force and (done := self._exists(asked.game_date)) is not None:
            return 409, {
                "status": "already_exists",
                "batch_id": done.batch_id,
                "message": f"{done.batch_id} has run; send force to run again.",
            }
        self._coordinator.begin(run)
        threading.Thread(target=self._coordinator.finish, args=(run,), name=run.batch_id, daemon=True).start()
        return 202, _started(run, "started")

    def _exists(self, game_date: date) -> Batch | None:
        done = (BatchState.CONSOLIDATED, BatchState.REPORTED_SUCCESS)
        return next((b for b in read_batches(self._cloud, game_date).batches if b.state in done), None)

    def resume(self, told: Mapping[str, Any]) -> Answer:
        batch = told.get("batch_id")
        if not isinstance(batch, str) or set(told) - {"batch_id"}:
            raise BadInput('Send {"batch_id": "batch_…"} and nothing else.')
        run = self._coordinator.resume(batch)
        threading.Thread(target=self._coordinator.finish, args=(run,), name=batch, daemon=True).start()
        return 202, _started(run, "resumed")

    def status(self, batch: str | None) -> Answer:
        if not batch:
            return 200, {"status": "no_active_batch", "message": "Give ?batch_id= to ask for one."}
        try:
            game_date = date_of(batch)
        except ValueError:
            return 404, {"status": "not_found", "batch_id": batch}
        entry = self._ledger.newest(batch, game_date)
        if entry is None:
            return 404, {"status": "not_found", "batch_id": batch}
        return 200, status_of(entry, self._coordinator.progress.get(batch, {}))


def read(told: Any, today: date) -> Asked:
    """Check a /start body; raises BadInput naming the field."""
    if not isinstance(told, Mapping):
        raise BadInput("The body must be a JSON object.")
    if unknown := sorted(set(told) - FIELDS - IGNORED):
        raise BadInput(f"Unknown field{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}.", "Nothing was started.")
    players = told.get("players", [])
    if not isinstance(players, list) or not all(isinstance(p, str) for p in players):
        raise BadInput("players must be a list of player_lookup.", "Nothing was started.")
    if "players" in told and not players:
        raise BadInput(
            "players is empty, and an empty list never means everybody.", "Leave it out to run the whole date."
        )
    if not isinstance(told.get("force", False), bool):
        raise BadInput("force must be true or false.")
    minutes = told.get("min_minutes", 15)
    if not isinstance(minutes, int | float) or isinstance(minutes, bool) or not 0 <= minutes <= 48:
        raise BadInput("min_minutes must be a number from 0 to 48.")
    by = str(told.get("started_by") or told.get("parent_processor") or "scheduler or curl")[:200]
    return Asked(
        _date(told.get("game_date", "TODAY"), today), told.get("force", False), float(minutes), tuple(players), by
    )


def _date(told: Any, today: date) -> date:
    named = {"TODAY": today, "TOMORROW": today + timedelta(days=1)}
    if isinstance(told, str) and told.upper() in named:
        return named[told.upper()]
    try:
        return date.fromisoformat(told)
    except (TypeError, ValueError):
        raise BadInput(f"game_date {told!r} is no date.", "Write it as 2025-12-29, TODAY or TOMORROW.") from None


def _started(run: Run, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "batch_id": run.batch_id,
        "game_date": str(run.game_date),
        "total_requests": len(run.players),
        "published": len(run.players),
        "summary": {"total_games": run.games, "total_players": run.eligible},
        "monitor_url": f"/status?batch_id={run.batch_id}",
    }


def status_of(entry: Entry, seen: Mapping[str, int]) -> dict[str, Any]:
    """The customer's memory shape, and beside it the state and the sums that prove it."""
    expected = entry.requested or 0
    completed = sum(seen.values()) if seen and entry.state in LIVE else expected if entry.state not in LIVE else 0
    failed = sum(count for outcome, count in seen.items() if outcome != "staged")
    done = entry.state not in LIVE
    sums = {
        name: getattr(entry, name)
        for name in (
            "produced_rows",
            "staged_rows",
            "staged_tables",
            "distinct_keys",
            "collapsed_rows",
            "inserted",
            "updated",
            "unchanged",
            "deactivated",
            "active_players",
            "active_rows",
            "eligible",
        )
    }
    return {
        "status": "complete" if done else "in_progress",
        "state": entry.state.value,
        "reason": entry.reason,
        "batch_id": entry.batch_id,
        "game_date": str(entry.game_date),
        "progress": {
            "expected": expected,
            "completed": completed,
            "failed": failed,
            "remaining": max(0, expected - completed),
            "is_complete": done,
            "total_predictions": entry.produced_rows,
            "progress_percentage": round(100 * completed / expected, 1) if expected else None,
        },
        "is_stalled": entry.state is BatchState.STALLED,
        "sums": sums,
        "conserved": conserved(entry) if entry.state is BatchState.CONSOLIDATED else None,
        "source": "ledger",
    }


def conserved(entry: Entry) -> bool:
    """produced = staged; staged = distinct + collapsed; distinct = inserted + updated + unchanged."""
    numbers = (
        entry.produced_rows,
        entry.staged_rows,
        entry.distinct_keys,
        entry.collapsed_rows,
        entry.inserted,
        entry.updated,
        entry.unchanged,
    )
    if any(number is None for number in numbers):
        return False
    produced, staged, distinct, collapsed, inserted, updated, unchanged = (int(n or 0) for n in numbers)
    return produced == staged == distinct + collapsed and distinct == inserted + updated + unchanged


def application(desk: Desk) -> Starlette:
    """The coordinator's routes."""

    async def start(request: Request) -> Response:
        return await _answer(request, desk.start)

    async def resume(request: Request) -> Response:
        return await _answer(request, desk.resume)

    async def status(request: Request) -> Response:
        code, told = await run_in_threadpool(_guard, desk.status, request.query_params.get("batch_id"))
        return JSONResponse(told, code)

    async def alive(_: Request) -> Response:
        return JSONResponse(
            {"service": "prediction-coordinator", "status": "healthy", "supports": ["players", "resume"]}
        )

    routes = [
        Route("/start", start, methods=["POST"]),
        Route("/resume", resume, methods=["POST"]),
        Route("/status", status),
    ]
    return Starlette(routes=[*routes, *(Route(path, alive) for path in ("/", "/health", "/ready"))])


async def _answer(request: Request, work: Any) -> Response:
    if "application/json" not in request.headers.get("content-type", ""):
        return JSONResponse({"error": "Send Content-Type: application/json."}, 415)
    try:
        told = await request.json()
    except ValueError:
        return JSONResponse({"error": "The body is not JSON."}, 400)
    code, answer = await run_in_threadpool(_guard, work, told)
    return JSONResponse(answer, code)


def _guard(work: Any, told: Any) -> Answer:
    """Every refusal as its documented code and one sentence."""
    try:
        answer: Answer = work(told)
        return answer
    except AlreadyRunning as error:
        return 409, {
            "status": "already_running",
            "batch_id": error.batch.batch_id,
            "progress": error.batch.status_text,
            "message": str(error),
        }
    except NoPlayers as error:
        return 404, {"status": "no_players", "message": f"No players found: {error}"}
    except BadInput as error:
        return 400, {"status": "bad_request", "message": str(error)}
    except OnCallError as error:
        log_line.error("Refused: %s", error)
        return 503, {"status": "unavailable", "message": str(error)}
