"""BigQuery's REST calls: which of them the gateway answers itself, and what it corrects in the emulator's answers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.bigquery.job_endpoints import JobAnswers
from services.sandbox.bigquery.job_server import USER
from services.sandbox.bigquery.uploads import Uploads, parts_of
from services.sandbox.common.error_responses import plain, refused
from services.sandbox.state import World

Handler = Callable[[Request], Awaitable[Response]]
Guard = Callable[[str, str, Handler], Handler]
PROJECT = "/bigquery/v2/projects/{project}"
DATASET = PROJECT + "/datasets/{dataset}/tables"
TABLE = DATASET + "/{table}"


def routes(world: World, guarded: Guard) -> list[Route]:
    """Every BigQuery route, the ones with rules of their own first."""
    api = _Api(world)
    served = [
        ("POST", f"/upload{PROJECT}/jobs", "JobService.insertJob", api.upload),
        ("PUT", f"/upload{PROJECT}/jobs", "JobService.upload", api.go_on),
        ("POST", f"{PROJECT}/jobs", "JobService.insertJob", api.insert_job),
        ("GET", f"{PROJECT}/jobs", "JobService.listJobs", api.list_jobs),
        ("GET", f"{PROJECT}/jobs/{{job}}", "JobService.getJob", api.get_job),
        ("POST", f"{PROJECT}/jobs/{{job}}/cancel", "JobService.cancelJob", api.cancel_job),
        ("POST", f"{PROJECT}/queries", "JobService.query", api.query),
        ("GET", f"{PROJECT}/queries/{{job}}", "JobService.getQueryResults", api.results),
        ("POST", DATASET, "TableService.insertTable", api.create_table),
        ("GET", DATASET, "TableService.listTables", api.list_tables),
        ("GET", TABLE, "TableService.getTable", api.get_table),
        ("PATCH PUT", TABLE, "TableService.updateTable", api.change_table),
        ("DELETE", TABLE, "TableService.deleteTable", api.drop_table),
        ("GET", f"{TABLE}/data", "TableDataService.list", api.table_data),
        ("POST", f"{TABLE}:testIamPermissions", "TableService.testIamPermissions", api.permissions),
        ("POST", f"{TABLE}/insertAll", "TableDataService.insertAll", api.stream),
        ("GET POST PUT PATCH DELETE", "/bigquery/v2/{rest:path}", "other", world.warehouse.pass_on),
    ]
    return [
        Route(path, guarded("bigquery", method, handler), methods=verbs.split())
        for verbs, path, method, handler in served
    ]


def _table(request: Request) -> str:
    return f"{request.path_params['dataset']}.{request.path_params['table']}"


class _Api:
    """The handlers over one warehouse."""

    def __init__(self, world: World) -> None:
        self.world, self.warehouse, self.tables = world, world.warehouse, world.warehouse.tables
        self.uploads, self.answers = Uploads(), JobAnswers(world.warehouse)

    async def upload(self, request: Request) -> Response:
        kind = request.query_params.get("uploadType")
        if kind == "resumable":
            return await self.uploads.begin(request)
        if kind != "multipart":
            return plain(400, "invalid", f"Unsupported uploadType: {kind}.")
        try:
            told, media = parts_of(request.headers.get("content-type", ""), await request.body())
        except ValueError as error:
            return plain(400, "invalid", str(error))
        return await self.warehouse.insert(told, media)

    async def go_on(self, request: Request) -> Response:
        upload = await self.uploads.go_on(request)
        return upload if isinstance(upload, Response) else await self.warehouse.insert(*upload)

    async def insert_job(self, request: Request) -> Response:
        return await self.warehouse.insert(await request.json())

    async def list_jobs(self, request: Request) -> Response:
        return JSONResponse(self.warehouse.jobs.list(request.query_params, USER))

    async def get_job(self, request: Request) -> Response:
        return await self.answers.get(request.path_params["job"])

    async def cancel_job(self, request: Request) -> Response:
        return await self.answers.cancel(request.path_params["job"])

    async def query(self, request: Request) -> Response:
        return await self.answers.query(await request.json())

    async def results(self, request: Request) -> Response:
        return await self.answers.results(request, request.path_params["job"])

    async def create_table(self, request: Request) -> Response:
        told = await request.json()
        name = f"{request.path_params['dataset']}.{told.get('tableReference', {}).get('tableId')}"
        return await self._metadata(request, name)

    async def list_tables(self, request: Request) -> Response:
        """One page; the emulator forgets what comes after the first."""
        dataset, asked = request.path_params["dataset"], request.query_params
        answer = await self.tables.listed(dataset)
        told = answer.json()
        if answer.is_error:
            return JSONResponse(told, answer.status_code)
        start, size = int(asked.get("pageToken") or 0), min(int(asked.get("maxResults") or 50), 1_000)
        every = told.pop("tables", [])
        page = every[start : start + size]
        for table in page:
            self.tables.date(dataset, table)
        more = {"nextPageToken": str(start + size)} if start + size < len(every) else {}
        return JSONResponse({**told, **({"tables": page} if page else {}), **more})

    async def get_table(self, request: Request) -> Response:
        answer = await self.warehouse.pass_on(request)
        told = json.loads(bytes(answer.body))
        await self.tables.correct(_table(request), told)
        if self.world.limits.streaming(_table(request), self.world.now_s()):
            told["streamingBuffer"] = {
                "estimatedRows": "1",
                "estimatedBytes": "1",
            }  # estimates, and late ones, there too
        return JSONResponse(told, answer.status_code)

    async def change_table(self, request: Request) -> Response:
        return await self._metadata(request, _table(request))

    async def _metadata(self, request: Request, name: str) -> Response:
        partitioned = (await self.tables.about(name)).partitioned
        key = self.world.limits.metadata_update(name, partitioned, self.world.now_s())
        if key is not None:
            return refused(key)
        self.tables.forget(name)
        self.tables.expire(name, await request.json())
        return await self.warehouse.pass_on(request)

    async def drop_table(self, request: Request) -> Response:
        if (attic := self.warehouse.copier.attic) is not None:
            await attic.keep(request.path_params["dataset"], request.path_params["table"])
        self.tables.drop(_table(request))
        return await self.warehouse.pass_on(request)

    async def table_data(self, request: Request) -> Response:
        """tabledata.list, free of charge, of a table or of one partition (table$20251229)."""
        name, _, day = request.path_params["table"].partition("$")
        return await self.tables.data(request.query_params, request.path_params["dataset"], name, day)

    async def permissions(self, request: Request) -> Response:
        return JSONResponse(self.world.held(await request.json()))

    async def stream(self, request: Request) -> Response:
        self.tables.forget(_table(request))
        self.world.limits.streamed(_table(request), self.world.now_s())
        return await self.warehouse.pass_on(request)
