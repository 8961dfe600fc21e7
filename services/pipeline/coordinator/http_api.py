"""The coordinator's HTTP API, in the customer's shapes: POST /start, GET /status, POST /resume, POST /stop, health, and the rest."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.auth.request_guard import RequestGuard
from services.batches.conservation import is_conserved
from services.batches.ids import parse_batch_date
from services.batches.ledger import NOT_ASKED, BatchRecord, Ledger, StateAlreadyRecorded
from services.batches.reader import Batch, read_batches
from services.batches.state import IN_PROGRESS_STATES, BatchState
from services.core.clock import eastern_day
from services.core.errors import InvalidInput, OnCallError
from services.gcp.clients import Clients
from services.pipeline.coordinator import customer_endpoints
from services.pipeline.coordinator.batch_runner import BatchAlreadyRunning, BatchRunner
from services.pipeline.coordinator.request_bodies import BatchRequest, StartRequest
from services.pipeline.coordinator.resume import Activation, WrongBatchState
from services.pipeline.coordinator.run_request import NoEligiblePlayers, plan_run

logger = logging.getLogger("coordinator")
T = TypeVar("T")
ApiResponse = tuple[int, dict[str, Any]]  # HTTP status and JSON body
REPORTED_SUMS = (  # fields of a BatchRecord
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


class CoordinatorApi:
    """Answers requests; after its 202 a run goes on in its own thread."""

    def __init__(self, clients: Clients, runner: BatchRunner) -> None:
        self.clients, self._runner, self._ledger = clients, runner, Ledger(clients)

    def start(self, body: object) -> ApiResponse:
        start_request = StartRequest.parse(body, eastern_day(self.clients.now()))
        run = plan_run(
            self.clients,
            start_request.game_date,
            min_minutes=start_request.min_minutes,
            players=start_request.players,
            started_by=start_request.requester,
        )
        if run is None:
            return 200, {
                "status": "no_games_scheduled",
                "game_date": str(start_request.game_date),
                "message": "No games, so nothing was started.",
            }
        if not start_request.force and (existing := self._find_completed_batch(start_request.game_date)) is not None:
            return 409, {
                "status": "already_exists",
                "batch_id": existing.batch_id,
                "message": f"{existing.batch_id} has run; send force to run again.",
            }
        return self._run(self._runner.record_requested(run), "started")

    def _find_completed_batch(self, game_date: date) -> Batch | None:
        """A batch of the date that is done; raises when the ledger cannot be read, for then there may be one."""
        self._ledger.batches_of(game_date)
        completed_states = (BatchState.CONSOLIDATED, BatchState.UNVERIFIED_SUCCESS)
        return next((b for b in read_batches(self.clients, game_date).batches if b.state in completed_states), None)

    def resume(self, body: object) -> ApiResponse:
        return self._run(self._runner.resume(BatchRequest.parse(body).batch_id), "resumed")

    def _run(self, activation: Activation, status: str) -> ApiResponse:
        batch_id = activation.run.batch_id
        threading.Thread(target=self._runner.run, args=(activation,), name=batch_id, daemon=True).start()
        return 202, _to_start_response(activation, status)

    def stop(self, body: object) -> ApiResponse:
        entry = self._runner.request_stop(BatchRequest.parse(body).batch_id)
        return 202, {
            "status": "stopping",
            "batch_id": entry.batch_id,
            "game_date": str(entry.game_date),
            "message": "No further player is asked; what is staged stays, and the batch can be resumed.",
        }

    def status(self, batch_id: str | None) -> ApiResponse:
        if not batch_id:
            return 200, {"status": "no_active_batch", "message": "Give ?batch_id= to ask for one."}
        try:
            game_date = parse_batch_date(batch_id)
        except ValueError:
            return 404, {"status": "not_found", "batch_id": batch_id}
        entry = self._ledger.latest(batch_id, game_date)
        if entry is None:
            return 404, {"status": "not_found", "batch_id": batch_id}
        counts = self._runner.progress.get(batch_id) or entry.outcome_counts
        return 200, to_status_response(entry, counts, self._runner.is_stopping(entry))


def _to_start_response(activation: Activation, status: str) -> dict[str, Any]:
    run = activation.run
    return {
        "status": status,
        "batch_id": run.batch_id,
        "game_date": str(run.game_date),
        "total_requests": len(run.players),
        "published": len(run.players),
        "summary": {"total_games": run.games, "total_players": run.eligible},
        "monitor_url": f"/status?batch_id={run.batch_id}",
    }


def to_status_response(entry: BatchRecord, counts: Mapping[str, int] | None, stopping: bool) -> dict[str, Any]:
    """The shape of the customer's own coordinator, and beside it the state and the sums that prove it.

    `counts` are players by outcome; None where an earlier version recorded none.
    """
    expected = entry.requested or 0
    finished = entry.state not in IN_PROGRESS_STATES
    answered = sum(n for name, n in counts.items() if name != NOT_ASKED) if counts is not None else None
    completed = answered if answered is not None else expected if finished else 0
    return {
        "status": "complete" if finished else "in_progress",
        "state": entry.state.value,
        "stopping": stopping,
        "reason": entry.reason,
        "batch_id": entry.batch_id,
        "game_date": str(entry.game_date),
        "progress": {
            "expected": expected,
            "completed": completed,
            "failed": completed - counts.get("staged", 0) if counts is not None else 0,
            "remaining": max(0, expected - completed),
            "is_complete": finished,
            "total_predictions": entry.produced_rows,
            "progress_percentage": round(100 * completed / expected, 1) if expected else None,
        },
        "outcomes": counts,
        "is_stalled": entry.state is BatchState.STALLED,
        "sums": {name: getattr(entry, name) for name in REPORTED_SUMS},
        "conserved": is_conserved(entry) if entry.state is BatchState.CONSOLIDATED else None,
        "source": "ledger",
    }


def create_app(api: CoordinatorApi, local: bool = True) -> Starlette:
    """The coordinator's routes; with `local` they answer to this machine's host names only."""

    async def start(request: Request) -> Response:
        return await _handle(request, api.start)

    async def resume(request: Request) -> Response:
        return await _handle(request, api.resume)

    async def stop(request: Request) -> Response:
        return await _handle(request, api.stop)

    async def status(request: Request) -> Response:
        code, body = await run_in_threadpool(_map_errors, api.status, request.query_params.get("batch_id"))
        return JSONResponse(body, code)

    def customer_route(path: str, answer: Callable[[Clients, object], ApiResponse], method: str = "POST") -> Route:
        async def endpoint(request: Request) -> Response:
            return await _handle(request, lambda body: answer(api.clients, body), empty_body={})

        return Route(path, endpoint, methods=[method])

    def refuse(path: str) -> Route:
        async def endpoint(_: Request) -> Response:
            body = {"status": "not_supported", "message": customer_endpoints.NOT_SUPPORTED[path]}
            return JSONResponse(body, 501)

        return Route(path, endpoint, methods=["GET", "POST"])

    async def health(_: Request) -> Response:
        return JSONResponse(
            {
                "service": "prediction-coordinator",
                "status": "healthy",
                "supports": ["players", "resume", "stop"],
                "thresholds": api.clients.settings.fingerprint,
            }
        )

    routes = [
        Route("/start", start, methods=["POST"]),
        Route("/resume", resume, methods=["POST"]),
        Route("/stop", stop, methods=["POST"]),
        Route("/status", status),
        customer_route("/health/deep", customer_endpoints.deep_health, "GET"),
        customer_route("/check-stalled", customer_endpoints.check_stalled),
        customer_route("/cleanup-staging", customer_endpoints.cleanup_staging),
        customer_route("/cleanup-duplicates", customer_endpoints.cleanup_duplicates),
        customer_route("/complete", customer_endpoints.complete),
        *map(refuse, customer_endpoints.NOT_SUPPORTED),
    ]
    routes += [Route(path, health) for path in ("/", "/health", "/ready")]
    return Starlette(routes=routes, middleware=[Middleware(RequestGuard, local=local)])


async def _handle(
    request: Request, handler: Callable[[Any], ApiResponse], empty_body: dict[str, Any] | None = None
) -> Response:
    """Call a handler with the JSON body. `empty_body` is what a request without one means; None: that is refused."""
    raw_body = await request.body()
    try:
        body = json.loads(raw_body) if raw_body.strip() or empty_body is None else empty_body
    except (ValueError, RecursionError):  # the second: nested too deep
        return JSONResponse({"error": "The body is not JSON."}, 400)
    code, payload = await run_in_threadpool(_map_errors, handler, body)
    return JSONResponse(payload, code)


def _map_errors(handler: Callable[[T], ApiResponse], argument: T) -> ApiResponse:
    """Every refusal as its documented status code and one sentence."""
    try:
        return handler(argument)
    except BatchAlreadyRunning as error:
        return 409, {
            "status": "already_running",
            "batch_id": error.entry.batch_id,
            "progress": error.entry.reason or error.entry.state.value,
            "message": str(error),
        }
    except WrongBatchState as error:
        return 409, {
            "status": "wrong_state",
            "batch_id": error.entry.batch_id,
            "state": error.entry.state.value,
            "message": str(error),
        }
    except StateAlreadyRecorded as error:
        return 409, {"status": "already_running", "message": str(error)}
    except NoEligiblePlayers as error:
        return 404, {"status": "no_players", "message": f"No players found: {error}"}
    except InvalidInput as error:
        return 400, {"status": "bad_request", "message": str(error)}
    except OnCallError as error:
        logger.error("Refused: %s", error)
        return 503, {"status": "unavailable", "message": str(error)}
