"""What clients ask about jobs: their state, their end, their first page; and the short cut jobs.query."""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.sandbox.bigquery.job_server import Warehouse
from services.sandbox.bigquery.job_store import Job, Resource
from services.sandbox.common.error_responses import failed, plain

REQUEST_IDS_LAST_S = 15 * 60
_NOT_CONFIG = {"dryRun", "timeoutMs", "maxResults", "requestId", "kind", "location", "formatOptions", "jobCreationMode"}


class JobAnswers:
    """jobs.get, jobs.cancel, jobs.getQueryResults and jobs.query over one warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._requests: dict[str, tuple[float, str]] = {}

    def _no_job(self, job_id: str) -> Response:
        return plain(404, "notFound", f"Not found: Job {self._warehouse.project}:{job_id}")

    async def get(self, job_id: str) -> Response:
        job = self._warehouse.jobs.get(job_id)
        return JSONResponse(job.resource) if job is not None else self._no_job(job_id)

    async def results(self, request: Request, job_id: str) -> Response:
        """getQueryResults: wait a while for the end; an error is answered as the error it is."""
        job = self._warehouse.jobs.get(job_id)
        if job is None:
            return self._no_job(job_id)
        if not await _ended(job, request.query_params.get("timeoutMs")):
            return _not_yet(job, "bigquery#getQueryResultsResponse")
        return failed(job.error) if job.error is not None else await self._warehouse.pass_on(request)

    async def query(self, told: Resource) -> Response:
        """jobs.query: insert, wait, and answer with the first page; the same requestId within 15 minutes is the same job."""
        config: Resource = {"query": {"useLegacySql": False, **{k: v for k, v in told.items() if k not in _NOT_CONFIG}}}
        asked_at, before = self._requests.get(told.get("requestId", ""), (0.0, ""))
        job = self._warehouse.jobs.get(before) if self._warehouse.now_s() - asked_at < REQUEST_IDS_LAST_S else None
        if job is None:
            answer = await self._warehouse.insert({"configuration": {**config, "dryRun": bool(told.get("dryRun"))}})
            job = self._warehouse.jobs.get(json.loads(bytes(answer.body)).get("jobReference", {}).get("jobId", ""))
            if job is None:
                return answer
            if told.get("requestId"):
                self._requests[told["requestId"]] = (self._warehouse.now_s(), job.job_id)
        if not await _ended(job, told.get("timeoutMs")):
            return _not_yet(job, "bigquery#queryResponse")
        return failed(job.error) if job.error is not None else await self._first_page(job, told)

    async def _first_page(self, job: Job, told: Resource) -> Response:
        path = f"/bigquery/v2/projects/{self._warehouse.project}/queries/{job.job_id}"
        page = await self._warehouse.http.get(path, params={"maxResults": told.get("maxResults", 10_000)})
        billed_bytes = job.resource["statistics"].get("query", {}).get("totalBytesBilled", "0")
        return JSONResponse({**page.json(), "kind": "bigquery#queryResponse", "totalBytesBilled": billed_bytes})

    async def cancel(self, job_id: str) -> Response:
        job = self._warehouse.jobs.get(job_id)
        if job is None:
            return self._no_job(job_id)
        self._warehouse.stop_waiting(job)
        return JSONResponse({"kind": "bigquery#jobCancelResponse", "job": job.resource})


async def _ended(job: Job, timeout_ms: str | int | None) -> bool:
    """Wait for a job's end as long as a call may ask for."""
    try:
        await asyncio.wait_for(job.done.wait(), min(int(timeout_ms or 10_000) / 1000, 20))
    except TimeoutError:
        return False
    return True


def _not_yet(job: Job, kind: str) -> Response:
    return JSONResponse({"kind": kind, "jobReference": job.resource["jobReference"], "jobComplete": False})
