"""One address for BigQuery, Cloud Run and Logging: the API rates, the scripted faults, and the sandbox's own controls."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.common.error_responses import refused
from services.sandbox.common.fault_injection import Dropped, Faults, before, error_body
from services.sandbox.http import bigquery_routes as bigquery_api
from services.sandbox.http import run_and_logging_routes as other_apis
from services.sandbox.http import slack_and_scheduler_routes as messages
from services.sandbox.http.bigquery_routes import Handler
from services.sandbox.state import World


def application(world: World) -> Starlette:
    """The ASGI application of the sandbox."""
    gate = _Gate(world)
    routes = [
        *bigquery_api.routes(world, gate.guarded),
        *other_apis.routes(world, gate.guarded),
        *messages.routes(world, gate.guarded),
        Route("/sandbox/{what}", gate.control, methods=["GET", "PUT", "DELETE"]),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.warehouse.http.aclose()

    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _unknown, 405: _unknown})


async def _unknown(request: Request, _: Exception) -> Response:
    return JSONResponse(error_body(404, f"The requested URL {request.url.path} was not found on this server."), 404)


class _Gate:
    """What stands before every handler."""

    def __init__(self, world: World) -> None:
        self.world = world

    def guarded(self, api: str, method: str, handler: Handler) -> Handler:
        """Count the call, keep the API's rate, and let a scripted fault have its way."""

        async def guard(request: Request) -> Response:
            world = self.world
            world.meter.calls[f"{api}.{method}"] += 1
            fault = world.faults.take(api, f"{method} {request.method}", world.now_s())
            instead = await before(fault)
            if instead is not None:
                return JSONResponse(instead[1], instead[0])
            if api == "bigquery" and (key := world.limits.api_call(method, world.now_s())) is not None:
                return refused(key, method=method)
            try:
                answer = await handler(request)
            except ClientDisconnect:
                raise Dropped from None  # nobody waits for this answer any more
            if fault is not None and fault.kind == "drop_after":
                raise Dropped
            return answer

        return guard

    async def control(self, request: Request) -> Response:
        world, what = self.world, request.path_params["what"]
        if what == "clock":
            return JSONResponse({"now": world.clock.now().isoformat()})
        if what == "health":
            return JSONResponse({"status": "ok", "project": world.project})
        if what == "meter":
            if request.method == "DELETE":
                world.meter.reset()
            return JSONResponse(world.meter.as_json())
        return await self._faults(request) if what == "faults" else await _unknown(request, Exception())

    async def _faults(self, request: Request) -> Response:
        """The faults in force: shown by GET, replaced by PUT with a list, taken away by DELETE."""
        if request.method == "PUT":
            try:
                self.world.faults.set(*Faults.parse(await request.json(), self.world.now_s()))
            except (TypeError, ValueError) as error:
                return JSONResponse(error_body(400, str(error)), 400)
        if request.method == "DELETE":
            self.world.faults.clear()
        return JSONResponse([asdict(fault) for fault in self.world.faults.faults])
