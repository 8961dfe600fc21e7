"""Logging's and Cloud Run's REST calls, and the load balancer before a service's instances."""

from __future__ import annotations

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gcp.error_table import BY_KEY
from services.sandbox.common.error_responses import refused
from services.sandbox.common.fault_injection import error_body
from services.sandbox.http.bigquery_routes import Guard
from services.sandbox.stand_ins.cloud_run import Conflict
from services.sandbox.stand_ins.log_filter import FilterError
from services.sandbox.state import World


def routes(world: World, guarded: Guard) -> list[Route]:
    """Cloud Logging v2, Cloud Run Admin v2, and /run/{service}: where a service's own address points."""
    api = _Api(world)
    balanced = guarded("balancer", "request", api.balance)
    return [
        Route("/v2/entries:list", guarded("logging", "entries.list", api.list_entries), methods=["POST"]),
        Route("/v2/entries:write", guarded("logging", "entries.write", api.write_entries), methods=["POST"]),
        Route("/v2/{name:path}:testIamPermissions", guarded("run", "permissions", api.permissions), methods=["POST"]),
        Route("/v2/{name:path}", guarded("run", "run", api.cloud_run), methods=["GET", "PATCH"]),
        Route("/run/{service}/{path:path}", balanced, methods=["GET", "POST"]),
        Route("/run/{service}", balanced, methods=["GET", "POST"]),
    ]


class _Api:
    """The handlers over one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    # --- Logging --------------------------------------------------------------------------------------------------

    async def list_entries(self, request: Request) -> Response:
        world = self.world
        if (key := world.limits.log_read(world.clock.now().timestamp())) is not None:
            return refused(key, project=world.project)
        try:
            return JSONResponse(world.logs.list(await request.json()))
        except (FilterError, ValueError) as error:
            return JSONResponse(error_body(400, str(error)), 400)

    async def write_entries(self, request: Request) -> Response:
        told = await request.json()
        defaults = {k: told[k] for k in ("logName", "resource", "labels") if k in told}
        self.world.logs.add(told.get("entries", []), defaults)
        return JSONResponse({})

    # --- Cloud Run ------------------------------------------------------------------------------------------------

    async def cloud_run(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PATCH":
            return await self._patch_service(name, request)
        if name.endswith("/services"):
            return JSONResponse({"services": [self.world.run.get(n) for n in self.world.run.services]})
        if name.endswith("/revisions"):
            owner = name.removesuffix("/revisions")
            return JSONResponse(
                {"revisions": [r for n, r in self.world.run.revisions.items() if n.startswith(owner + "/")]}
            )
        if "/operations/" in name:
            return JSONResponse({"name": name, "done": True})
        found = self.world.run.get(name) or self.world.run.revisions.get(name)
        if found is None:
            return JSONResponse(
                error_body(404, f"Resource '{name.rsplit('/', 1)[-1]}' of kind 'SERVICE' in region does not exist."),
                404,
            )
        return JSONResponse(found)

    async def permissions(self, request: Request) -> Response:
        return JSONResponse(self.world.held(await request.json()))

    async def _patch_service(self, name: str, request: Request) -> Response:
        asked = request.query_params
        try:
            done = self.world.run.patch(
                name, await request.json(), asked.get("updateMask", ""), asked.get("validateOnly", "").lower() == "true"
            )
        except KeyError:
            return JSONResponse(error_body(404, f"Resource '{name}' does not exist."), 404)
        except Conflict:
            return JSONResponse(
                error_body(
                    409,
                    f"Conflict for resource '{name.rsplit('/', 1)[-1]}': version was specified but current version differs.",
                ),
                409,
            )
        return JSONResponse(done)

    async def balance(self, request: Request) -> Response:
        """The load balancer of a service: a place on an instance, or 429 after waiting."""
        world, short = self.world, request.path_params["service"]
        name = next((n for n in world.run.services if n.endswith(f"/services/{short}")), "")
        backend = world.run.backends.get(short)
        if not name or not backend:
            return JSONResponse(error_body(404, f"The requested URL /run/{short} was not found on this server."), 404)
        if not await world.run.admit(name, world.wait_for_instance_s):
            return Response(BY_KEY["no_instance"].template, 429, media_type="text/plain")
        try:
            return await _forward(request, f"{backend}/{request.path_params.get('path', '')}")
        except httpx.HTTPError:
            return Response("Service Unavailable", 503, media_type="text/plain")
        finally:
            await world.run.leave(name)


async def _forward(request: Request, address: str) -> Response:
    headers = {k: v for k, v in request.headers.items() if k.lower() in {"content-type", "authorization", "accept"}}
    async with httpx.AsyncClient(timeout=300) as client:
        answer = await client.request(
            request.method, address, params=dict(request.query_params), content=await request.body(), headers=headers
        )
    return Response(
        answer.content, answer.status_code, {"content-type": answer.headers.get("content-type", "text/plain")}
    )
