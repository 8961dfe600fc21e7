"""One URL for all stand-ins: API rate limits and injected faults around every handler, and the sandbox's own endpoints."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.auth.request_guard import RequestGuard
from services.sandbox.common.error_responses import known_error_response
from services.sandbox.common.fault_injection import ConnectionDropped, Faults, apply_before, error_body
from services.sandbox.common.identities import CALLER
from services.sandbox.http import (
    bigquery_routes,
    iam_routes,
    pager_routes,
    pubsub_routes,
    run_and_logging_routes,
    scheduler_routes,
    slack_routes,
)
from services.sandbox.http.authorization import authenticate, authorize
from services.sandbox.http.bigquery_routes import Handler
from services.sandbox.state import SandboxState


def create_app(state: SandboxState) -> Starlette:
    """The sandbox's ASGI application."""
    policy = _RequestPolicy(state)
    routes = [
        *iam_routes.routes(state, policy.wrap_handler),
        *bigquery_routes.routes(state, policy.wrap_handler),
        *run_and_logging_routes.routes(state, policy.wrap_handler),
        *scheduler_routes.routes(state, policy.wrap_handler),
        *pubsub_routes.routes(state, policy.wrap_handler),
        *slack_routes.routes(state, policy.wrap_handler),
        *pager_routes.routes(state, policy.wrap_handler),
        Route("/sandbox/{what}", policy.control_endpoint, methods=["GET", "PUT", "DELETE"]),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await state.bigquery.http.aclose()
        await state.instances_http.aclose()

    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={404: _not_found, 405: _not_found, Exception: _internal_error},
        middleware=[Middleware(RequestGuard, upload_path="/upload/", max_body_bytes=None)],
    )


async def _not_found(request: Request, _: Exception) -> Response:
    return JSONResponse(error_body(404, f"The requested URL {request.url.path} was not found on this server."), 404)


async def _internal_error(_: Request, error: Exception) -> Response:
    """A defect of the sandbox, in the form of Google's errors; the traceback goes to the server's log."""
    return JSONResponse(error_body(500, f"The sandbox failed: {error!r}"), 500)


def _log_refusal(state: SandboxState, api: str, request: Request, response: Response) -> None:
    """Cloud Run logs every request to a service; here those that are refused, which is what is read of them."""
    if api == "balancer" and response.status_code in (401, 403, 429):
        service, path = request.path_params["service"], request.url.path
        state.log_refused_request(service, request.method, path, response.status_code, request.headers)


class _RequestPolicy:
    """What applies before and after every handler: call counts, API rates, injected faults; and the /sandbox endpoints."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state
        self._methods: defaultdict[str, set[str]] = defaultdict(set)  # API → its methods, for faults

    def wrap_handler(self, api: str, method: str, handler: Handler) -> Handler:
        """The handler with its call counted, its API rate enforced and injected faults applied."""
        self._methods[api].add(method)

        async def checked_handler(request: Request) -> Response:
            state = self.state
            state.meter.calls[f"{api}.{method}"] += 1
            fault = state.faults.next_fault(api, f"{method} {request.method}", state.now_s())
            replacement = await apply_before(fault)
            if replacement is not None:
                return JSONResponse(replacement[1], replacement[0])
            caller = authorize(state, api, method, request)
            if isinstance(caller, Response):
                _log_refusal(state, api, request, caller)
                return caller
            CALLER.set(caller)
            if api == "bigquery" and (error_key := state.limits.check_api_call(method, state.now_s())) is not None:
                return known_error_response(error_key, method=method)
            try:
                response = await handler(request)
            except ClientDisconnect:
                raise ConnectionDropped from None  # the client is gone, so no response can reach it
            except json.JSONDecodeError as error:  # of the request's body
                return JSONResponse(error_body(400, f"Invalid JSON payload received. {error.msg}."), 400)
            _log_refusal(state, api, request, response)
            if fault is not None and fault.kind == "drop_after":
                raise ConnectionDropped
            return response

        return checked_handler

    async def control_endpoint(self, request: Request) -> Response:
        """/sandbox/clock, health, meter (DELETE resets it) and faults; an account that it does not know is refused."""
        state, endpoint = self.state, request.path_params["what"]
        if "authorization" in request.headers and isinstance(refusal := authenticate(state, request), Response):
            return refusal
        if endpoint == "clock":
            return JSONResponse({"now": state.clock.now().isoformat()})
        if endpoint == "health":
            return JSONResponse({"status": "ok", "project": state.project})
        if endpoint == "meter":
            if request.method == "DELETE":
                state.meter.reset()
            return JSONResponse(state.meter.to_json())
        return await self._faults_endpoint(request) if endpoint == "faults" else await _not_found(request, Exception())

    async def _faults_endpoint(self, request: Request) -> Response:
        """The active faults: GET lists them, PUT replaces them by a JSON list, DELETE removes them."""
        if request.method == "PUT":
            try:
                faults = Faults.parse(await request.json(), self.state.now_s(), self._methods)
            except ValueError as error:
                reason = (
                    "The faults are a JSON list of objects." if isinstance(error, json.JSONDecodeError) else str(error)
                )
                return JSONResponse(error_body(400, reason), 400)
            self.state.faults.set(*faults)
        if request.method == "DELETE":
            self.state.faults.clear()
        return JSONResponse([asdict(fault) for fault in self.state.faults.faults])
