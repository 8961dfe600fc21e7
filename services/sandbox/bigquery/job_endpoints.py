"""jobs.get, jobs.cancel, jobs.getQueryResults and jobs.query over the job server."""

from __future__ import annotations

import asyncio
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.sandbox.bigquery.job_server import BigQueryJobServer
from services.sandbox.bigquery.job_store import DEFAULT_LOCATION, Job, Resource
from services.sandbox.common.error_responses import error_response, job_error_response

REQUEST_ID_TTL_S = 15 * 60
_NON_CONFIG_FIELDS = {
    "dryRun",
    "timeoutMs",
    "maxResults",
    "requestId",
    "kind",
    "location",
    "formatOptions",
    "jobCreationMode",
}


class JobEndpoints:
    """The job endpoints of one BigQueryJobServer."""

    def __init__(self, server: BigQueryJobServer) -> None:
        self._server = server
        self._requests: dict[str, tuple[float, str]] = {}

    def _job_not_found(self, job_id: str, location: str) -> Response:
        qualified_id = f"{location}.{job_id}" if location else job_id
        return error_response(404, "notFound", f"Not found: Job {self._server.project}:{qualified_id}")

    async def get(self, job_id: str, location: str) -> Response:
        job = self._server.jobs.find(job_id, location)
        return JSONResponse(job.resource) if job is not None else self._job_not_found(job_id, location)

    async def get_query_results(self, request: Request, job_id: str) -> Response:
        """getQueryResults: wait up to timeoutMs for the job; a failed job's error becomes the response."""
        location = request.query_params.get("location", "")
        job = self._server.jobs.find(job_id, location)
        if job is None:
            return self._job_not_found(job_id, location)
        if not await _wait_until_done(job, request.query_params.get("timeoutMs")):
            return _incomplete_response(job, "bigquery#getQueryResultsResponse")
        if job.error is not None:
            return job_error_response(job.error)
        response = await self._server.proxy(request)
        if job.location == DEFAULT_LOCATION:
            return response
        # The emulator knows no other location.
        page = json.loads(bytes(response.body))
        return JSONResponse({**page, "jobReference": job.resource["jobReference"]}, response.status_code)

    async def query(self, body: Resource) -> Response:
        """jobs.query: insert, wait, return the first page; the same requestId within 15 minutes is the same job."""
        config: Resource = {
            "query": {"useLegacySql": False, **{k: v for k, v in body.items() if k not in _NON_CONFIG_FIELDS}}
        }
        previous_at, previous_job_id = self._requests.get(body.get("requestId", ""), (0.0, ""))
        job = self._server.jobs.get(previous_job_id) if self._server.now_s() - previous_at < REQUEST_ID_TTL_S else None
        if job is None:
            reference = {"location": body["location"]} if body.get("location") else {}
            response = await self._server.insert_job(
                {"jobReference": reference, "configuration": {**config, "dryRun": bool(body.get("dryRun"))}}
            )
            job = self._server.jobs.get(json.loads(bytes(response.body)).get("jobReference", {}).get("jobId", ""))
            if job is None:
                return response
            if body.get("requestId"):
                self._requests[body["requestId"]] = (self._server.now_s(), job.job_id)
        if not await _wait_until_done(job, body.get("timeoutMs")):
            return _incomplete_response(job, "bigquery#queryResponse")
        return job_error_response(job.error) if job.error is not None else await self._first_page(job, body)

    async def _first_page(self, job: Job, body: Resource) -> Response:
        path = f"/bigquery/v2/projects/{self._server.project}/queries/{job.job_id}"
        page = await self._server.http.get(path, params={"maxResults": body.get("maxResults", 10_000)})
        billed_bytes = job.resource["statistics"].get("query", {}).get("totalBytesBilled", "0")
        return JSONResponse(
            {
                **page.json(),
                "kind": "bigquery#queryResponse",
                "jobReference": job.resource["jobReference"],
                "totalBytesBilled": billed_bytes,
            }
        )

    async def cancel(self, job_id: str, location: str) -> Response:
        job = self._server.jobs.find(job_id, location)
        if job is None:
            return self._job_not_found(job_id, location)
        self._server.queries.cancel_pending(job)
        return JSONResponse({"kind": "bigquery#jobCancelResponse", "job": job.resource})


async def _wait_until_done(job: Job, timeout_ms: str | int | None) -> bool:
    """Whether the job ends within the requested time (default 10 s, at most 20 s; 0 does not wait)."""
    timeout_s = 10.0 if timeout_ms in (None, "") else int(timeout_ms) / 1000
    if job.done.is_set():
        return True
    try:
        await asyncio.wait_for(job.done.wait(), min(timeout_s, 20))
    except TimeoutError:
        return False
    return True


def _incomplete_response(job: Job, kind: str) -> Response:
    return JSONResponse({"kind": kind, "jobReference": job.resource["jobReference"], "jobComplete": False})
