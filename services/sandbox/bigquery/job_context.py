"""What every kind of BigQuery job works with: the emulator, the job history, tables, limits, meter and latencies."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import httpx

from services.core.clock import Clock
from services.sandbox.bigquery.billing_meter import NO_COST, BillingMeter, QueryCost
from services.sandbox.bigquery.copy_jobs import Copier
from services.sandbox.bigquery.error_wording import to_bigquery_error
from services.sandbox.bigquery.job_latency import JobLatency
from services.sandbox.bigquery.job_store import Job, JobStore, Resource
from services.sandbox.bigquery.limits import Limits
from services.sandbox.bigquery.streaming_buffer import StreamingDelays
from services.sandbox.bigquery.table_metadata import TableCatalog
from services.sandbox.bigquery.uploads import build_multipart


@dataclass(eq=False)
class JobContext:
    """The state of one project's jobs, and the steps that every kind of job shares."""

    http: httpx.AsyncClient  # the emulator's
    project: str
    clock: Clock
    limits: Limits
    meter: BillingMeter
    latency: JobLatency
    streaming: StreamingDelays

    def __post_init__(self) -> None:
        self.jobs = JobStore(self.clock, self.project)
        self.tables = TableCatalog(self.http, self.project, self.clock, self.streaming)
        self.copier = Copier(self.http, self.project, self.tables)
        self.queue_full_error = "dml_queue_full"  # or "dml_queue_full_quota", the other form BigQuery is known to use
        self._tasks: set[asyncio.Task[None]] = set()

    def now_s(self) -> float:
        """The sandbox clock, in epoch seconds."""
        return self.clock.now().timestamp()

    async def run_guarded(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Run the job; a defect of the sandbox itself fails the job instead of leaving it without an end."""
        try:
            await work
        except Exception as error:
            self.jobs.fail(job, {"reason": "internalError", "message": f"The sandbox failed: {error!r}"})
            raise

    def complete(self, job: Job, response: httpx.Response, cost: QueryCost = NO_COST) -> None:
        """End a job with the status and statistics of the emulator's response."""
        payload = response.json()
        if response.is_error:
            first = (payload.get("error", {}).get("errors") or [{}])[0]
            message = payload.get("error", {}).get("message", "")
            error = {
                "reason": first.get("reason", "invalidQuery"),
                "message": message,
                "location": first.get("location"),
            }
            return self.jobs.fail(job, to_bigquery_error({k: v for k, v in error.items() if v}))
        stats = dict(payload.get("statistics", {}))
        stats.get("query", {}).pop("totalRows", None)  # the emulator's own; BigQuery's jobs have no such field
        if (error := payload.get("status", {}).get("errorResult")) is not None:
            return self.jobs.fail(job, to_bigquery_error(error), stats)
        if "query" in job.resource["configuration"]:
            self.meter.queries += 1
            self.meter.bytes_billed += cost.billed
            kind = job.resource["statistics"].get("query", {}).get("statementType")
            billing = {"totalBytesBilled": str(cost.billed), "totalBytesProcessed": str(cost.processed)}
            stats["query"] = {**stats.get("query", {}), **billing, **({"statementType": kind} if kind else {})}
            stats["totalBytesProcessed"] = str(cost.processed)
        return self.jobs.finish(job, stats)

    def table_reference(self, table: str) -> Resource:
        """The TableReference of dataset.table in this project."""
        dataset, _, name = table.rpartition(".")
        return {"projectId": self.project, "datasetId": dataset, "tableId": name}

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the background of this event loop, and keep it from being collected."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def call_emulator(self, body: Resource, media: bytes | None = None) -> httpx.Response:
        """jobs.insert on the emulator, by multipart upload when there is `media`."""
        path = f"/bigquery/v2/projects/{self.project}/jobs"
        if media is None:
            return await self.http.post(path, json=body)
        content, content_type = build_multipart(body, media)
        return await self.http.post(
            f"/upload{path}",
            params={"uploadType": "multipart"},
            content=content,
            headers={"content-type": content_type},
        )
