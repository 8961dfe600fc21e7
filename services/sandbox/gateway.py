"""One address for BigQuery, Cloud Run and Logging: the routes, the API rates, the faults, and the sandbox's own controls."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.foundation.clock import Clock
from services.foundation.google_errors import BY_KEY
from services.sandbox.cloud_logging import LogBook
from services.sandbox.cloud_run import CloudRun, Conflict
from services.sandbox.faults import Dropped, Faults, before, error_body
from services.sandbox.limits import Limits
from services.sandbox.log_filter import FilterError
from services.sandbox.meter import Meter
from services.sandbox.warehouse import Warehouse, parts_of, refused

Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class World:
    """Everything behind the one address."""

    clock: Clock
    project: str
    warehouse: Warehouse
    run: CloudRun
    logs: LogBook
    limits: Limits
    meter: Meter
    faults: Faults
    wait_for_instance_s: float = 10.0
    table_created: dict[str, str] = field(default_factory=dict)  # dataset.table of a past night → epoch ms

    def reset_limits(self) -> None:
        """Forget what the limits have counted, and every scripted fault."""
        self.faults.clear()
        self.limits = self.warehouse.limits = Limits()


def application(world: World) -> Starlette:
    """The ASGI application of the sandbox."""
    api = _Api(world)
    project = "/bigquery/v2/projects/{project}"
    table = project + "/datasets/{dataset}/tables/{table}"
    bq = api.guarded
    routes = [
        Route(f"/upload{project}/jobs", bq("bigquery", "JobService.insertJob", api.upload), methods=["POST", "PUT"]),
        Route(f"{project}/jobs", bq("bigquery", "JobService.insertJob", api.insert_job), methods=["POST"]),
        Route(f"{project}/jobs", bq("bigquery", "JobService.listJobs", api.list_jobs), methods=["GET"]),
        Route(f"{project}/jobs/{{job}}", bq("bigquery", "JobService.getJob", api.get_job), methods=["GET"]),
        Route(f"{project}/queries", bq("bigquery", "JobService.query", api.query), methods=["POST"]),
        Route(f"{project}/queries/{{job}}", bq("bigquery", "JobService.getQueryResults", api.results), methods=["GET"]),
        Route(
            f"{project}/datasets/{{dataset}}/tables",
            bq("bigquery", "TableService.insertTable", api.create_table),
            methods=["POST"],
        ),
        Route(
            f"{project}/datasets/{{dataset}}/tables",
            bq("bigquery", "TableService.listTables", api.list_tables),
            methods=["GET"],
        ),
        Route(table, bq("bigquery", "TableService.getTable", api.get_table), methods=["GET"]),
        Route(table, bq("bigquery", "TableService.updateTable", api.change_table), methods=["PATCH", "PUT"]),
        Route(table, bq("bigquery", "TableService.deleteTable", api.drop_table), methods=["DELETE"]),
        Route(f"{table}/data", bq("bigquery", "TableDataService.list", api.table_data), methods=["GET"]),
        Route(f"{table}/insertAll", bq("bigquery", "TableDataService.insertAll", api.stream), methods=["POST"]),
        Route(
            "/bigquery/v2/{rest:path}",
            bq("bigquery", "other", world.warehouse.pass_on),
            methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        ),
        Route("/v2/entries:list", api.guarded("logging", "entries.list", api.list_entries), methods=["POST"]),
        Route("/v2/entries:write", api.guarded("logging", "entries.write", api.write_entries), methods=["POST"]),
        Route("/v2/{name:path}", api.guarded("run", "run", api.cloud_run), methods=["GET", "PATCH"]),
        Route("/run/{service}/{path:path}", api.balance, methods=["GET", "POST"]),
        Route("/run/{service}", api.balance, methods=["GET", "POST"]),
        Route("/sandbox/{what}", api.control, methods=["GET", "PUT", "DELETE"]),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await world.warehouse.http.aclose()

    return Starlette(routes=routes, lifespan=lifespan)


class _Api:
    """The handlers, all with the same guard before them."""

    def __init__(self, world: World) -> None:
        self.world = world

    def guarded(self, api: str, method: str, handler: Handler) -> Handler:
        """Count the call, keep the API's rate, and let a scripted fault have its way."""

        async def guard(request: Request) -> Response:
            world = self.world
            world.meter.calls[f"{api}.{method}"] += 1
            fault = world.faults.take(api, f"{method} {request.method}")
            instead = await before(fault)
            if instead is not None:
                return JSONResponse(instead[1], instead[0])
            if api == "bigquery" and (key := world.limits.api_call(method, world.clock.now().timestamp())) is not None:
                return refused(key, method=method)
            answer = await handler(request)
            if fault is not None and fault.kind == "drop_after":
                raise Dropped
            return answer

        return guard

    # --- BigQuery -------------------------------------------------------------------------------------------------

    async def upload(self, request: Request) -> Response:
        if request.query_params.get("uploadType") != "multipart":
            return await self.world.warehouse.pass_on(request)
        told, media = parts_of(request.headers.get("content-type", ""), await request.body())
        return await self.world.warehouse.insert(told, (media, ""))

    async def insert_job(self, request: Request) -> Response:
        return await self.world.warehouse.insert(await request.json())

    async def list_jobs(self, request: Request) -> Response:
        return JSONResponse(self.world.warehouse.jobs.list(request.query_params, "sandbox@prediction-on-call.local"))

    async def get_job(self, request: Request) -> Response:
        return await self.world.warehouse.get(request.path_params["job"])

    async def query(self, request: Request) -> Response:
        return await self.world.warehouse.query(await request.json())

    async def results(self, request: Request) -> Response:
        return await self.world.warehouse.results(request, request.path_params["job"])

    async def create_table(self, request: Request) -> Response:
        told = await request.json()
        name = f"{request.path_params['dataset']}.{told.get('tableReference', {}).get('tableId')}"
        return await self._metadata(request, name)

    async def list_tables(self, request: Request) -> Response:
        answer = await self.world.warehouse.pass_on(request)
        told = json.loads(bytes(answer.body))
        for table in told.get("tables", []):
            self._date(request.path_params["dataset"], table)
        return JSONResponse(told, answer.status_code)

    async def get_table(self, request: Request) -> Response:
        answer = await self.world.warehouse.pass_on(request)
        told = json.loads(bytes(answer.body))
        self._date(request.path_params["dataset"], told)
        await self.world.warehouse.correct(f"{request.path_params['dataset']}.{request.path_params['table']}", told)
        return JSONResponse(told, answer.status_code)

    def _date(self, dataset: str, table: dict[str, Any]) -> None:
        """A table of a past night was created that night, not when the sandbox loaded it."""
        name = f"{dataset}.{table.get('tableReference', {}).get('tableId')}"
        if name in self.world.table_created:
            table["creationTime"] = self.world.table_created[name]

    async def change_table(self, request: Request) -> Response:
        return await self._metadata(request, f"{request.path_params['dataset']}.{request.path_params['table']}")

    async def _metadata(self, request: Request, name: str) -> Response:
        world = self.world
        partitioned = (await world.warehouse.about(name))[1]
        key = world.limits.metadata_update(name, partitioned, world.clock.now().timestamp())
        if key is not None:
            return refused(key)
        world.warehouse.forget(name)
        return await world.warehouse.pass_on(request)

    async def drop_table(self, request: Request) -> Response:
        if (attic := self.world.warehouse.copier.attic) is not None:
            await attic.keep(request.path_params["dataset"], request.path_params["table"])
        self.world.table_created.pop(f"{request.path_params['dataset']}.{request.path_params['table']}", None)
        self.world.warehouse.forget(f"{request.path_params['dataset']}.{request.path_params['table']}")
        return await self.world.warehouse.pass_on(request)

    async def table_data(self, request: Request) -> Response:
        """tabledata.list, free of charge; a partition (table$20251229) is read by a query that is not billed."""
        name, _, day = request.path_params["table"].partition("$")
        if not day:
            return await self.world.warehouse.pass_on(request)
        return await self.world.warehouse.partition(request, request.path_params["dataset"], name, day)

    async def stream(self, request: Request) -> Response:
        self.world.warehouse.forget(f"{request.path_params['dataset']}.{request.path_params['table']}")
        return await self.world.warehouse.pass_on(request)

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

    # --- the sandbox itself -----------------------------------------------------------------------------------------

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
        if what == "faults":
            if request.method == "PUT":
                try:
                    world.faults.set(*Faults.parse(await request.json()))
                except (TypeError, ValueError) as error:
                    return JSONResponse(error_body(400, str(error)), 400)
            if request.method == "DELETE":
                world.faults.clear()
            return JSONResponse([asdict(fault) for fault in world.faults.faults])
        return JSONResponse(error_body(404, f"There is no /sandbox/{what}."), 404)


async def _forward(request: Request, address: str) -> Response:
    headers = {k: v for k, v in request.headers.items() if k.lower() in {"content-type", "authorization", "accept"}}
    async with httpx.AsyncClient(timeout=300) as client:
        answer = await client.request(
            request.method, address, params=dict(request.query_params), content=await request.body(), headers=headers
        )
    return Response(
        answer.content, answer.status_code, {"content-type": answer.headers.get("content-type", "text/plain")}
    )
