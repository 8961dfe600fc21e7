"""BigQuery jobs in front of the emulator: asynchronous states, limits and billing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.core.clock import Clock
from services.sandbox.bigquery import partition_pruning, sql_inspection
from services.sandbox.bigquery.billing_meter import BillingMeter, billed_bytes
from services.sandbox.bigquery.copy_jobs import Copier
from services.sandbox.bigquery.job_store import Job, JobStore, Resource, known_error_result
from services.sandbox.bigquery.limits import MAX_COPY_SOURCES, DmlQueue, Limits, check_query_size
from services.sandbox.bigquery.table_metadata import TableCatalog
from services.sandbox.bigquery.uploads import build_multipart
from services.sandbox.common.error_responses import error_response, known_error_response

SANDBOX_USER = "sandbox@prediction-on-call.local"
_FORWARDED_HEADERS = {"content-type", "accept", "content-encoding"}


@dataclass(frozen=True)
class JobLatency:
    """Seconds a job of each kind takes on the real service, multiplied by `scale` here."""

    scale: float = 0.1
    merge_s: float = 4.7
    load_s: float = 1.5
    copy_s: float = 2.0


class BigQueryJobServer:
    """BigQuery's jobs API as a client sees it: accepts, limits, runs and bills jobs."""

    def __init__(
        self, emulator_url: str, project: str, clock: Clock, limits: Limits, meter: BillingMeter, latency: JobLatency
    ) -> None:
        self.http = httpx.AsyncClient(base_url=emulator_url, timeout=120, limits=httpx.Limits(max_connections=64))
        self.project, self.clock, self.limits, self.meter, self.latency = project, clock, limits, meter, latency
        self.jobs = JobStore(clock, project)
        self.tables = TableCatalog(self.http, project, clock)
        self.copier = Copier(self.http, project)
        self.queue_full_error = "dml_queue_full"  # or "dml_queue_full_quota", the other form BigQuery is known to use
        self._slot_events: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def now_s(self) -> float:
        return self.clock.now().timestamp()

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
        config = body.get("configuration") or {}
        kind = next((k for k in ("query", "load", "copy", "extract") if k in config), "")
        if not kind:
            return error_response(400, "required", "Required parameter is missing: configuration")
        if config.get("dryRun"):
            return await self._dry_run(config)
        job_id = (body.get("jobReference") or {}).get("jobId")
        job = self.jobs.create(config, job_id, SANDBOX_USER)
        if job is None:
            return known_error_response("duplicate_job", job=f"{self.project}:US.{job_id}")
        work = {"query": self._run_query, "copy": self._run_copy}.get(kind)
        await self._run_guarded(job, work(job) if work is not None else self._run_load(job, kind, media))
        return JSONResponse(job.resource)

    async def _run_guarded(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Run the job; a defect of the sandbox itself fails the job instead of leaving it without an end."""
        try:
            await work
        except Exception as error:
            self.jobs.fail(job, {"reason": "internalError", "message": f"The sandbox failed: {error!r}"})
            raise

    async def _dry_run(self, config: Resource) -> Response:
        sql = await self.tables.inline_tables_view(config.get("query", {}).get("query", ""))
        expanded_config = {**config, "query": {**config.get("query", {}), "query": sql}}
        response = await self._call_emulator({"configuration": expanded_config})
        estimated_bytes = str(await self._estimate_billed_bytes(config.get("query", {})))
        result = response.json()
        result.setdefault("status", {"state": "DONE"})
        stats = result.setdefault("statistics", {})
        stats["totalBytesProcessed"] = estimated_bytes
        stats.setdefault("query", {}).update({"totalBytesProcessed": estimated_bytes, "totalBytesBilled": "0"})
        return JSONResponse(result, response.status_code)

    async def _estimate_billed_bytes(self, query: Resource) -> int:
        statement = sql_inspection.inspect_sql(query.get("query", ""))
        parameters = partition_pruning.query_parameters(query)
        tables = await self.tables.expand_wildcards(statement.billed_tables)
        return billed_bytes(
            await asyncio.gather(*(self._estimate_scanned_bytes(table, statement, parameters) for table in tables))
        )

    async def _estimate_scanned_bytes(
        self, table: str, statement: sql_inspection.Statement, parameters: Mapping[str, str]
    ) -> int:
        """Bytes a statement reads of a table: the columns it names, in the date partitions it cannot prune."""
        metadata = await self.tables.get_metadata(table)
        size = metadata.size_bytes * metadata.column_fraction(statement.columns)
        references = [reference for reference in statement.table_references if reference.table == table]
        if metadata.partitioned and any(reference.bounds for reference in references):
            size *= partition_pruning.scanned_fraction(
                references, metadata.partitioned_by, await self.tables.rows_by_day(table), parameters
            )
        return round(size)

    async def _run_query(self, job: Job) -> None:
        query = job.resource["configuration"]["query"]
        text = query.get("query", "")
        statement = sql_inspection.inspect_sql(text)
        table_names = [t for t in await self.tables.expand_wildcards(statement.tables) if "INFORMATION_SCHEMA" not in t]
        if (error_key := check_query_size(len(table_names), len(text))) is not None:
            return self.jobs.fail(job, known_error_result(error_key))
        if (column := await self._float_partition_column(statement)) is not None:
            return self.jobs.fail(job, known_error_result("float_partition", **_find_position(text, column)))
        cost, limit = await self._estimate_billed_bytes(query), int(query.get("maximumBytesBilled") or 0)
        if limit and cost > limit:
            return self.jobs.fail(job, known_error_result("bytes_limit", limit=limit, bytes=cost))
        if statement.is_dml:
            return await self._run_dml(job, statement, cost)
        if (write_error_key := await self._check_table_write(query, statement)) is not None:
            return self.jobs.fail(job, known_error_result(write_error_key))
        return await self._execute(job, cost, statement)

    async def _float_partition_column(self, statement: sql_inspection.Statement) -> str | None:
        if statement.float_partition:
            return statement.float_partition
        for table in statement.tables if statement.window_columns else ():
            types = (await self.tables.get_metadata(table)).types
            for column in statement.window_columns:
                if types.get(column.lower()) in {"FLOAT", "FLOAT64"}:
                    return column
        return None

    async def _check_table_write(self, query: Resource, statement: sql_inspection.Statement) -> str | None:
        """The error key of DDL or a query with a destination table that exceeds a limit, else None."""
        destination = query.get("destinationTable") or {}
        if destination.get("tableId"):
            name = f"{destination.get('datasetId')}.{destination['tableId']}"
            return self.limits.check_query_write(name, (await self.tables.get_metadata(name)).partitioned, self.now_s())
        if statement.kind in sql_inspection.DDL_KINDS:
            partitioned = (await self.tables.get_metadata(statement.target)).partitioned
            return self.limits.check_metadata_update(statement.target, partitioned, self.now_s())
        return None

    async def _run_dml(self, job: Job, statement: sql_inspection.Statement, cost: int) -> None:
        target = statement.target
        job.resource["configuration"]["query"]["destinationTable"] = self._table_reference(target)
        job.resource["statistics"]["query"] = {"statementType": statement.kind}
        partitioned = (await self.tables.get_metadata(target)).partitioned
        queue, mutating = self.limits.dml_queues[target], statement.kind in sql_inspection.MUTATING_KINDS
        if mutating and queue.is_full:
            return self.jobs.fail(job, known_error_result(self.queue_full_error, table=f"{self.project}:{target}"))
        if mutating and statement.kind != "MERGE" and self.limits.has_streaming_buffer(target, self.now_s()):
            return self.jobs.fail(job, known_error_result("streaming_buffer", table=f"{self.project}:{target}"))
        if (error_key := self.limits.check_dml_statement(target, partitioned, self.now_s())) is not None:
            return self.jobs.fail(job, known_error_result(error_key))
        if not mutating:
            return await self._execute(job, cost, statement)
        slot_event = self._slot_events[job.job_id] = asyncio.Event()
        if queue.submit(job.job_id) == "run":
            slot_event.set()
        self._start_task(self._run_in_slot(job, statement, cost, queue))
        return None

    async def _run_in_slot(self, job: Job, statement: sql_inspection.Statement, cost: int, queue: DmlQueue) -> None:
        try:
            await self._slot_events[job.job_id].wait()
            if not job.done.is_set():
                self.jobs.start(job)
                await asyncio.sleep(self.latency.merge_s * self.latency.scale)
                await self._run_guarded(job, self._execute(job, cost, statement))
        finally:
            del self._slot_events[job.job_id]
            next_job_id = queue.finish(job.job_id)
            if next_job_id is not None:
                self._slot_events[next_job_id].set()

    def cancel_pending(self, job: Job) -> None:
        """Cancel a statement that is still queued; a running one is not interrupted."""
        if job.state == "PENDING" and job.job_id in self._slot_events:
            message = "Job execution was cancelled: User requested cancellation"
            self.jobs.fail(job, {"reason": "stopped", "message": message})
            self._slot_events[job.job_id].set()

    async def _execute(self, job: Job, cost: int, statement: sql_inspection.Statement) -> None:
        """Run the job on the emulator under the same id and take over its status and statistics."""
        if job.state == "PENDING":
            self.jobs.start(job)
        config = {k: v for k, v in job.resource["configuration"].items() if k != "dryRun"}
        query = {k: v for k, v in config["query"].items() if not (statement.is_dml and k == "destinationTable")}
        query["query"] = await self.tables.inline_tables_view(query.get("query", ""))
        body = {"jobReference": job.resource["jobReference"], "configuration": {**config, "query": query}}
        response = await self._call_emulator(body)
        if statement.kind != "SELECT":
            self.tables.invalidate(statement.target)
        self._complete(job, response, cost)

    def _complete(self, job: Job, response: httpx.Response, cost: int) -> None:
        payload = response.json()
        if response.is_error:
            first = (payload.get("error", {}).get("errors") or [{}])[0]
            message = payload.get("error", {}).get("message", "")
            return self.jobs.fail(job, {"reason": first.get("reason", "invalidQuery"), "message": message})
        stats = dict(payload.get("statistics", {}))
        if (error := payload.get("status", {}).get("errorResult")) is not None:
            return self.jobs.fail(job, error, stats)
        if "query" in job.resource["configuration"]:
            self.meter.queries += 1
            self.meter.bytes_billed += cost
            kind = job.resource["statistics"].get("query", {}).get("statementType")
            billing = {"totalBytesBilled": str(cost), "totalBytesProcessed": str(cost)}
            stats["query"] = {**stats.get("query", {}), **billing, **({"statementType": kind} if kind else {})}
            stats["totalBytesProcessed"] = str(cost)
        return self.jobs.finish(job, stats)

    async def _run_load(self, job: Job, kind: str, media: bytes | None) -> None:
        target = job.resource["configuration"][kind].get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        partitioned = (await self.tables.get_metadata(name)).partitioned
        if (
            kind == "load"
            and (error_key := self.limits.check_write_job("load", name, partitioned, self.now_s())) is not None
        ):
            return self.jobs.fail(job, known_error_result(error_key))
        self.jobs.start(job)
        await asyncio.sleep(self.latency.load_s * self.latency.scale)
        body = {"jobReference": job.resource["jobReference"], "configuration": job.resource["configuration"]}
        response = await self._call_emulator(body, media)
        self.tables.invalidate(name)
        self._complete(job, response, 0)
        if job.error is None and media is not None:
            _set_output_rows(job, kind, media)
        return None

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

    def _table_reference(self, table: str) -> Resource:
        dataset, _, name = table.rpartition(".")
        return {"projectId": self.project, "datasetId": dataset, "tableId": name}

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _call_emulator(self, body: Resource, media: bytes | None = None) -> httpx.Response:
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


def _set_output_rows(job: Job, kind: str, media: bytes) -> None:
    """A load's outputRows are the rows it loaded; the emulator reports the table's total instead."""
    if job.resource["configuration"][kind].get("sourceFormat") == "NEWLINE_DELIMITED_JSON":
        rows = sum(1 for line in media.splitlines() if line.strip())
        job.resource["statistics"].setdefault("load", {})["outputRows"] = str(rows)


def _find_position(sql: str, fragment: str) -> dict[str, int]:
    """Line and column (from 1) of a fragment in a statement, as BigQuery counts them; the start when it is absent."""
    preceding = sql[: max(sql.lower().find(fragment.lower()), 0)]
    return {"line": preceding.count("\n") + 1, "column": len(preceding) - (preceding.rfind("\n") + 1) + 1}
