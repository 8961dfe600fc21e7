"""Logging's and Cloud Run's REST calls, and the load balancer before a service's instances."""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.common.error_responses import known_error_response
from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import HandlerWrapper
from services.sandbox.stand_ins.cloud_logging import entries_from_stdout
from services.sandbox.stand_ins.cloud_run import EtagMismatch
from services.sandbox.stand_ins.log_filter import FilterError
from services.sandbox.state import SandboxState


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """Cloud Logging v2, Cloud Run Admin v2, and /run/{service}: where a service's own address points."""
    api = _RunAndLoggingHandlers(state)
    load_balancer = wrap_handler("balancer", "request", api.forward_to_instance)
    return [
        Route("/v2/entries:list", wrap_handler("logging", "entries.list", api.list_entries), methods=["POST"]),
        Route("/v2/entries:write", wrap_handler("logging", "entries.write", api.write_entries), methods=["POST"]),
        Route("/sandbox/stdout", wrap_handler("agent", "stdout", api.ingest_stdout), methods=["POST"]),
        Route(
            "/v2/{name:path}:testIamPermissions", wrap_handler("run", "permissions", api.permissions), methods=["POST"]
        ),
        Route("/v2/{name:path}", wrap_handler("run", "run", api.cloud_run), methods=["GET", "PATCH"]),
        Route("/run/{service}/{path:path}", load_balancer, methods=["GET", "POST"]),
        Route("/run/{service}", load_balancer, methods=["GET", "POST"]),
    ]


class _RunAndLoggingHandlers:
    """The handlers, over one sandbox's state."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state

    # --- Logging --------------------------------------------------------------------------------------------------

    async def list_entries(self, request: Request) -> Response:
        state = self.state
        if (error_key := state.limits.check_log_read(state.clock.now().timestamp())) is not None:
            return known_error_response(error_key, project=state.project)
        try:
            return JSONResponse(state.logs.list(await request.json()))
        except (FilterError, ValueError) as error:
            return JSONResponse(error_body(400, str(error)), 400)

    async def write_entries(self, request: Request) -> Response:
        body = await request.json()
        defaults = {k: body[k] for k in ("logName", "resource", "labels") if k in body}
        self.state.logs.add(body.get("entries", []), defaults)
        return JSONResponse({})

    async def ingest_stdout(self, request: Request) -> Response:
        """Cloud Run's logging agent: `writes` to a service's stdout, {timestamp, text} each, become entries."""
        body = await request.json()
        entries = [
            {"timestamp": write["timestamp"], **entry}
            for write in body["writes"]
            for entry in entries_from_stdout(write["text"])
        ]
        self.state.logs.add(entries, {"resource": body["resource"]})
        return JSONResponse({})

    # --- Cloud Run ------------------------------------------------------------------------------------------------

    async def cloud_run(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PATCH":
            return await self._patch_service(name, request)
        if name.endswith("/services"):
            return JSONResponse({"services": [self.state.cloud_run.get(n) for n in self.state.cloud_run.services]})
        if name.endswith("/revisions"):
            service_name = name.removesuffix("/revisions")
            return JSONResponse(
                {
                    "revisions": [
                        r for n, r in self.state.cloud_run.revisions.items() if n.startswith(service_name + "/")
                    ]
                }
            )
        if "/operations/" in name:
            return JSONResponse({"name": name, "done": True})
        resource = self.state.cloud_run.get(name) or self.state.cloud_run.revisions.get(name)
        if resource is None:
            return JSONResponse(
                error_body(404, f"Resource '{name.rsplit('/', 1)[-1]}' of kind 'SERVICE' in region does not exist."),
                404,
            )
        return JSONResponse(resource)

    async def permissions(self, request: Request) -> Response:
        return JSONResponse(self.state.granted_permissions(await request.json()))

    async def _patch_service(self, name: str, request: Request) -> Response:
        params = request.query_params
        try:
            operation = self.state.cloud_run.patch(
                name,
                await request.json(),
                params.get("updateMask", ""),
                params.get("validateOnly", "").lower() == "true",
            )
        except KeyError:
            return JSONResponse(error_body(404, f"Resource '{name}' does not exist."), 404)
        except EtagMismatch:
            return JSONResponse(
                error_body(
                    409,
                    f"Conflict for resource '{name.rsplit('/', 1)[-1]}': version was specified but current version differs.",
                ),
                409,
            )
        return JSONResponse(operation)

    async def forward_to_instance(self, request: Request) -> Response:
        """The load balancer of a service: a place on an instance, or 429 after waiting."""
        state, short_name = self.state, request.path_params["service"]
        name = next((n for n in state.cloud_run.services if n.endswith(f"/services/{short_name}")), "")
        backend = state.cloud_run.backends.get(short_name)
        if not name or not backend:
            return JSONResponse(
                error_body(404, f"The requested URL /run/{short_name} was not found on this server."), 404
            )
        if not await state.cloud_run.acquire_slot(name, state.instance_wait_timeout_s):
            return Response(ERRORS_BY_KEY["no_instance"].template, 429, media_type="text/plain")
        try:
            return await _forward(request, f"{backend}/{request.path_params.get('path', '')}")
        except httpx.HTTPError:
            return Response("Service Unavailable", 503, media_type="text/plain")
        finally:
            await state.cloud_run.release_slot(name)


async def _forward(request: Request, url: str) -> Response:
    headers = {k: v for k, v in request.headers.items() if k.lower() in {"content-type", "authorization", "accept"}}
    async with httpx.AsyncClient(timeout=300) as client:
        response = await client.request(
            request.method, url, params=dict(request.query_params), content=await request.body(), headers=headers
        )
    return Response(
        response.content, response.status_code, {"content-type": response.headers.get("content-type", "text/plain")}
    )
