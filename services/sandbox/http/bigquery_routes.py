"""BigQuery's REST routes: which the gateway handles itself, and what it corrects in the emulator's responses."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.sandbox.bigquery.job_endpoints import JobEndpoints
from services.sandbox.bigquery.job_store import Resource
from services.sandbox.bigquery.schema_changes import SchemaMismatch, merge_schema
from services.sandbox.bigquery.table_data import TableData
from services.sandbox.bigquery.table_definitions import find_definition_problem
from services.sandbox.bigquery.uploads import ResumableUploads, parse_multipart
from services.sandbox.common.error_responses import error_response, known_error_response
from services.sandbox.common.identities import current_account
from services.sandbox.state import SandboxState

Handler = Callable[[Request], Awaitable[Response]]
HandlerWrapper = Callable[[str, str, Handler], Handler]
PROJECT_PATH = "/bigquery/v2/projects/{project}"
DATASETS_PATH = PROJECT_PATH + "/datasets"
DATASET_PATH = DATASETS_PATH + "/{dataset}"
TABLES_PATH = DATASET_PATH + "/tables"
TABLE_PATH = TABLES_PATH + "/{table}"
LISTED_DATASET_FIELDS = {"kind", "id", "datasetReference", "labels", "friendlyName", "location", "type"}


def routes(state: SandboxState, wrap_handler: HandlerWrapper) -> list[Route]:
    """Every BigQuery route; those the gateway handles come before the catch-all that proxies to the emulator."""
    api = _BigQueryHandlers(state)
    endpoints = [
        ("POST", f"/upload{PROJECT_PATH}/jobs", "JobService.insertJob", api.upload),
        ("PUT", f"/upload{PROJECT_PATH}/jobs", "JobService.upload", api.continue_upload),
        ("POST", f"{PROJECT_PATH}/jobs", "JobService.insertJob", api.insert_job),
        ("GET", f"{PROJECT_PATH}/jobs", "JobService.listJobs", api.list_jobs),
        ("GET", f"{PROJECT_PATH}/jobs/{{job}}", "JobService.getJob", api.get_job),
        ("POST", f"{PROJECT_PATH}/jobs/{{job}}/cancel", "JobService.cancelJob", api.cancel_job),
        ("POST", f"{PROJECT_PATH}/queries", "JobService.query", api.query),
        ("GET", f"{PROJECT_PATH}/queries/{{job}}", "JobService.getQueryResults", api.query_results),
        ("GET", DATASETS_PATH, "DatasetService.listDatasets", api.list_datasets),
        ("POST", DATASETS_PATH, "DatasetService.insertDataset", api.change_dataset),
        ("PATCH PUT", DATASET_PATH, "DatasetService.updateDataset", api.change_dataset),
        ("DELETE", DATASET_PATH, "DatasetService.deleteDataset", api.change_dataset),
        ("POST", TABLES_PATH, "TableService.insertTable", api.create_table),
        ("GET", TABLES_PATH, "TableService.listTables", api.list_tables),
        ("GET", TABLE_PATH, "TableService.getTable", api.get_table),
        ("PATCH PUT", TABLE_PATH, "TableService.updateTable", api.update_table),
        ("DELETE", TABLE_PATH, "TableService.deleteTable", api.delete_table),
        ("GET", f"{TABLE_PATH}/data", "TableDataService.list", api.list_table_data),
        ("POST", f"{TABLE_PATH}:testIamPermissions", "TableService.testIamPermissions", api.permissions),
        ("POST", f"{TABLE_PATH}/insertAll", "TableDataService.insertAll", api.insert_all),
        ("GET POST PUT PATCH DELETE", "/bigquery/v2/{rest:path}", "other", state.bigquery.proxy),
    ]
    return [
        Route(path, wrap_handler("bigquery", method, handler), methods=verbs.split())
        for verbs, path, method, handler in endpoints
    ]


def _table_name(request: Request) -> str:
    return f"{request.path_params['dataset']}.{request.path_params['table']}"


class _BigQueryHandlers:
    """The handlers, over one sandbox's state."""

    def __init__(self, state: SandboxState) -> None:
        self.state, self.bigquery, self.tables = state, state.bigquery, state.bigquery.tables
        self.uploads, self.job_endpoints = ResumableUploads(), JobEndpoints(state.bigquery)
        self.table_data = TableData(self.tables, state.project)

    async def upload(self, request: Request) -> Response:
        upload_type = request.query_params.get("uploadType")
        if upload_type == "resumable":
            return await self.uploads.start_session(request)
        if upload_type != "multipart":
            return error_response(400, "invalid", f"Unsupported uploadType: {upload_type}.")
        try:
            job_resource, media = parse_multipart(request.headers.get("content-type", ""), await request.body())
        except ValueError as error:
            return error_response(400, "invalid", str(error))
        return await self.bigquery.insert_job(job_resource, media)

    async def continue_upload(self, request: Request) -> Response:
        upload = await self.uploads.receive_chunk(request)
        return upload if isinstance(upload, Response) else await self.bigquery.insert_job(*upload)

    async def insert_job(self, request: Request) -> Response:
        return await self.bigquery.insert_job(await request.json())

    async def list_jobs(self, request: Request) -> Response:
        return JSONResponse(self.bigquery.jobs.list(request.query_params, current_account()))

    async def get_job(self, request: Request) -> Response:
        return await self.job_endpoints.get(request.path_params["job"], request.query_params.get("location", ""))

    async def cancel_job(self, request: Request) -> Response:
        return await self.job_endpoints.cancel(request.path_params["job"], request.query_params.get("location", ""))

    async def query(self, request: Request) -> Response:
        return await self.job_endpoints.query(await request.json())

    async def query_results(self, request: Request) -> Response:
        return await self.job_endpoints.get_query_results(request, request.path_params["job"])

    async def list_datasets(self, request: Request) -> Response:
        """datasets.list, in which the emulator shows datasets as datasets.get does."""
        response = await self.bigquery.proxy(request)
        page = json.loads(bytes(response.body))
        page.pop("totalItems", None)
        for dataset in page.get("datasets", ()):
            for name in dataset.keys() - LISTED_DATASET_FIELDS:
                del dataset[name]
        return JSONResponse(page, response.status_code)

    async def change_dataset(self, request: Request) -> Response:
        """datasets.insert, patch, update and delete."""
        self.tables.forget_locations()
        response = await self.bigquery.proxy(request)
        if request.method == "DELETE" and response.status_code < 400:
            await self.tables.buffer.forget_dataset(request.path_params["dataset"])
        return response

    async def create_table(self, request: Request) -> Response:
        body = await request.json()
        name = f"{request.path_params['dataset']}.{body.get('tableReference', {}).get('tableId')}"
        partitioned = bool(body.get("timePartitioning") or body.get("rangePartitioning"))
        if (refusal := self._refuse_definition(body, name, partitioned)) is not None:
            return refusal
        response = await self.tables.create(name, body)
        if not response.is_error:
            self.tables.invalidate(name)
            self.tables.set_expiration(name, body)
        return await self._describe(name, response)

    async def list_tables(self, request: Request) -> Response:
        """One page of tables.list; the emulator itself never returns more than the first page."""
        dataset, params = request.path_params["dataset"], request.query_params
        response = await self.tables.list_all(dataset)
        payload = response.json()
        if response.is_error:
            return JSONResponse(payload, response.status_code)
        start, size = int(params.get("pageToken") or 0), min(int(params.get("maxResults") or 50), 1_000)
        all_tables = payload.pop("tables", [])
        page = all_tables[start : start + size]
        for table in page:
            self.tables.apply_recorded_times(dataset, table)
        next_page = {"nextPageToken": str(start + size)} if start + size < len(all_tables) else {}
        return JSONResponse({**payload, **({"tables": page} if page else {}), **next_page})

    async def get_table(self, request: Request) -> Response:
        await self.tables.advance()
        response = await self.bigquery.proxy(request)
        resource = json.loads(bytes(response.body))
        await self.tables.correct_metadata(_table_name(request), resource)
        if (buffer := self.tables.buffer.describe(_table_name(request))) is not None:
            resource["streamingBuffer"] = buffer
        return JSONResponse(resource, response.status_code)

    async def update_table(self, request: Request) -> Response:
        return await self._update_metadata(request, _table_name(request))

    async def _update_metadata(self, request: Request, name: str) -> Response:
        body = await request.json()
        partitioned = (await self.tables.get_metadata(name)).partitioned
        if (refusal := self._refuse_definition(body, name, partitioned)) is not None:
            return refusal
        response = await self.tables.fetch(name)
        if response.is_error:
            return JSONResponse(response.json(), response.status_code)
        current = response.json()
        if request.headers.get("if-match", current["etag"]) != current["etag"]:
            return error_response(412, "conditionNotMet", "Precondition check failed.")
        wanted = (body.pop("schema", None) or {}).get("fields")
        try:
            fields = merge_schema(current["schema"]["fields"], wanted) if wanted else []
        except SchemaMismatch as error:
            message = f"Provided Schema does not match Table {self.state.project}:{name}. {error}"
            return error_response(400, "invalid", message)
        if fields:
            await self.tables.change_schema(name, current["schema"]["fields"], fields)
        self.tables.invalidate(name)
        self.tables.set_expiration(name, body)
        return await self._describe(name, await self.tables.patch(name, body))

    def _refuse_definition(self, body: Resource, name: str, partitioned: bool) -> Response | None:
        """The response that refuses a table's definition or an update too many, or None."""
        if (problem := find_definition_problem(body, int(self.state.now_s() * 1000))) is not None:
            return error_response(400, "invalid", problem)
        error_key = self.state.limits.check_metadata_update(name, partitioned, self.state.now_s())
        return known_error_response(error_key) if error_key is not None else None

    async def _describe(self, name: str, response: httpx.Response) -> Response:
        """The table resource that the emulator gave, corrected."""
        resource = response.json()
        if not response.is_error:
            await self.tables.correct_metadata(name, resource)
        return JSONResponse(resource, response.status_code)

    async def delete_table(self, request: Request) -> Response:
        dataset, table = request.path_params["dataset"], request.path_params["table"]
        # Nothing more is read from the client, who may be gone: half a drop would leave a table without its rows.
        if (dropped_tables := self.bigquery.copier.dropped_tables) is not None:
            await dropped_tables.store(dataset, table)
        await self.tables.buffer.forget([f"{dataset}.{table}"])
        self.tables.drop(f"{dataset}.{table}")
        response = await self.tables.delete(f"{dataset}.{table}")
        return Response(response.content, response.status_code, media_type="application/json")

    async def list_table_data(self, request: Request) -> Response:
        """tabledata.list, free of charge, of a table or of one partition (table$20251229)."""
        params = request.path_params
        return await self.table_data.list(request.query_params, params["dataset"], params["table"])

    async def permissions(self, request: Request) -> Response:
        return JSONResponse(self.state.granted_permissions(await request.json()))

    async def insert_all(self, request: Request) -> Response:
        params = request.path_params
        return await self.table_data.insert_all(await request.json(), params["dataset"], params["table"])
