"""BigQuery jobs in front of the emulator: jobs.insert by kind, and what the gateway passes through."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.sandbox.bigquery.job_configuration import to_canonical
from services.sandbox.bigquery.job_context import JobContext
from services.sandbox.bigquery.job_permissions import find_denial
from services.sandbox.bigquery.job_store import DEFAULT_LOCATION, Job, Resource, known_error_result
from services.sandbox.bigquery.labels import find_invalid_label
from services.sandbox.bigquery.limits import MAX_COPY_SOURCES
from services.sandbox.bigquery.load_jobs import LoadJobs
from services.sandbox.bigquery.locations import find_dataset_elsewhere, find_datasets
from services.sandbox.bigquery.query_jobs import QueryJobs
from services.sandbox.common.error_responses import error_response, job_error_response, known_error_response
from services.sandbox.common.identities import Identities, current_account

_FORWARDED_HEADERS = {"content-type", "accept", "content-encoding"}


class BigQueryJobServer(JobContext):
    """BigQuery's jobs API as a client sees it: accepts, limits, runs and bills jobs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.queries, self.loads = QueryJobs(self), LoadJobs(self)
        self.identities = Identities(self.project)

    async def proxy(self, request: Request) -> Response:
        """Forward a request to the emulator unchanged and return its response."""
        headers = {k: v for k, v in request.headers.items() if k.lower() in _FORWARDED_HEADERS}
        content = await request.body()
        response = await self.http.request(
            request.method, request.url.path, params=dict(request.query_params), content=content, headers=headers
        )
        response_headers = {
            k: v for k, v in response.headers.items() if k.lower() in {"content-type", "location", "range"}
        }
        return Response(response.content, response.status_code, response_headers)

    async def insert_job(self, body: Resource, media: bytes | None = None) -> Response:
        """jobs.insert: run the job; a limit fails it with an errorResult, a used job id is a 409."""
        config = to_canonical(body.get("configuration") or {})
        kind = next((k for k in ("query", "load", "copy", "extract") if k in config), "")
        if not kind:
            return error_response(400, "required", "Required parameter is missing: configuration")
        if (message := find_invalid_label(config.get("labels") or {})) is not None:
            return error_response(400, "invalid", message)
        reference = body.get("jobReference") or {}
        job_id = reference.get("jobId")
        datasets = await self.tables.locate_datasets(find_datasets(config))
        location = reference.get("location") or next(iter(datasets.values()), DEFAULT_LOCATION)
        denial = find_denial(self.identities, current_account(), self.project, config)
        if config.get("dryRun"):
            if denial is not None:
                return job_error_response(denial)
            return await self.queries.dry_run(config, current_account(), location)
        job = self.jobs.create(config, job_id, current_account(), location)
        if job is None:
            return known_error_response("duplicate_job", job=f"{self.project}:{location}.{job_id}")
        if denial is not None:
            self.jobs.fail(job, denial)
            return JSONResponse(job.resource)
        if (elsewhere := find_dataset_elsewhere(datasets, location)) is not None:
            error = known_error_result("dataset_location", dataset=f"{self.project}:{elsewhere}", location=location)
            self.jobs.fail(job, error)
            return JSONResponse(job.resource)
        work = {"query": self.queries.run, "copy": self._run_copy}.get(kind)
        await self.run_guarded(job, work(job) if work is not None else self.loads.run(job, kind, media))
        return JSONResponse(job.resource)

    async def _run_copy(self, job: Job) -> None:
        config = job.resource["configuration"]["copy"]
        sources = config.get("sourceTables") or [config.get("sourceTable") or {}]
        target = config.get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        if len(sources) > MAX_COPY_SOURCES:
            return self.jobs.fail(job, known_error_result("copy_sources", count=len(sources)))
        partitioned = (await self.tables.get_metadata(name)).partitioned
        if (error_key := self.limits.check_write_job("copy", name, partitioned, self.now_s())) is not None:
            return self.jobs.fail(job, known_error_result(error_key))
        self.jobs.start(job)
        await asyncio.sleep(self.latency.copy_s * self.latency.scale)
        error, rows = await self.copier.copy(sources, target, config)
        self.tables.invalidate(name)
        if error is not None:
            return self.jobs.fail(job, error)
        return self.jobs.finish(job, {"copy": {"copiedRows": str(rows)}})
