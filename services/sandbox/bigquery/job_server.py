"""The gateway before the emulator: BigQuery's jobs, its limits, its asynchrony and its bill."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.core.clock import Clock
from services.sandbox.bigquery import partition_pruning as pruning
from services.sandbox.bigquery import sql_inspection as statements
from services.sandbox.bigquery.billing_meter import Meter, billed
from services.sandbox.bigquery.copy_jobs import Copier
from services.sandbox.bigquery.job_store import Job, JobBook, Resource, known_error
from services.sandbox.bigquery.limits import MAX_COPY_SOURCES, DmlQueue, Limits, query_shape
from services.sandbox.bigquery.table_metadata import Tables
from services.sandbox.bigquery.uploads import multipart
from services.sandbox.common.error_responses import plain, refused

USER = "sandbox@prediction-on-call.local"
_PASSED = {"content-type", "accept", "content-encoding"}


@dataclass(frozen=True)
class Speed:
    """Seconds a job of a kind takes on the real service, times `scale` here."""

    scale: float = 0.1
    merge_s: float = 4.7
    load_s: float = 1.5
    copy_s: float = 2.0


class Warehouse:
    """BigQuery as a client sees it."""

    def __init__(self, emulator: str, project: str, clock: Clock, limits: Limits, meter: Meter, speed: Speed) -> None:
        self.http = httpx.AsyncClient(base_url=emulator, timeout=120, limits=httpx.Limits(max_connections=64))
        self.project, self.clock, self.limits, self.meter, self.speed = project, clock, limits, meter, speed
        self.jobs = JobBook(clock, project)
        self.tables = Tables(self.http, project, clock)
        self.copier = Copier(self.http, project)
        self.queue_full_as = "dml_queue_full"  # or "dml_queue_full_quota", the other shape seen in the field
        self._turns: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def now_s(self) -> float:
        return self.clock.now().timestamp()

    async def pass_on(self, request: Request) -> Response:
        """Send a call to the emulator as it came, and its answer back."""
        headers = {k: v for k, v in request.headers.items() if k.lower() in _PASSED}
        content = await request.body()
        answer = await self.http.request(
            request.method, request.url.path, params=dict(request.query_params), content=content, headers=headers
        )
        kept = {k: v for k, v in answer.headers.items() if k.lower() in {"content-type", "location", "range"}}
        return Response(answer.content, answer.status_code, kept)

    async def insert(self, told: Resource, media: bytes | None = None) -> Response:
        """jobs.insert: accept the job, refuse it, or let it run and fail; the same id twice is 409."""
        config = told.get("configuration") or {}
        kind = next((k for k in ("query", "load", "copy", "extract") if k in config), "")
        if not kind:
            return plain(400, "required", "Required parameter is missing: configuration")
        if config.get("dryRun"):
            return await self._dry_run(config)
        job_id = (told.get("jobReference") or {}).get("jobId")
        job = self.jobs.open(config, job_id, USER)
        if job is None:
            return refused("duplicate_job", job=f"{self.project}:US.{job_id}")
        work = {"query": self._query, "copy": self._copy}.get(kind)
        await self._see_through(job, work(job) if work is not None else self._load(job, kind, media))
        return JSONResponse(job.resource)

    async def _see_through(self, job: Job, work: Coroutine[Any, Any, None]) -> None:
        """Whatever breaks in the sandbox itself, a job never stays without an end."""
        try:
            await work
        except Exception as error:
            self.jobs.fail(job, {"reason": "internalError", "message": f"The sandbox failed: {error!r}"})
            raise

    async def _dry_run(self, config: Resource) -> Response:
        sql = await self.tables.with_views(config.get("query", {}).get("query", ""))
        asked = {**config, "query": {**config.get("query", {}), "query": sql}}
        answer = await self._emulate({"configuration": asked})
        would = str(await self._cost(config.get("query", {})))
        result = answer.json()
        result.setdefault("status", {"state": "DONE"})
        stats = result.setdefault("statistics", {})
        stats["totalBytesProcessed"] = would
        stats.setdefault("query", {}).update({"totalBytesProcessed": would, "totalBytesBilled": "0"})
        return JSONResponse(result, answer.status_code)

    async def _cost(self, query: Resource) -> int:
        statement, parameters = statements.read(query.get("query", "")), pruning.parameters_of(query)
        tables = await self.tables.expand(statement.billed_tables)
        return billed(await asyncio.gather(*(self._bytes_of(table, statement, parameters) for table in tables)))

    async def _bytes_of(self, table: str, statement: statements.Statement, parameters: Mapping[str, str]) -> int:
        """What a statement reads of a table: the columns it names, in the date partitions that it cannot leave out."""
        about = await self.tables.about(table)
        size = about.size_bytes * about.share_of(statement.columns)
        named = [naming for naming in statement.namings if naming.table == table]
        if about.partitioned and any(naming.bounds for naming in named):
            size *= pruning.share(named, about.partitioned_by, await self.tables.days(table), parameters)
        return round(size)

    async def _query(self, job: Job) -> None:
        query = job.resource["configuration"]["query"]
        text = query.get("query", "")
        statement = statements.read(text)
        named = [t for t in await self.tables.expand(statement.tables) if "INFORMATION_SCHEMA" not in t]
        if (shape := query_shape(len(named), len(text))) is not None:
            return self.jobs.fail(job, known_error(shape))
        if (column := await self._float_window(statement)) is not None:
            return self.jobs.fail(job, known_error("float_partition", **_place(text, column)))
        cost, limit = await self._cost(query), int(query.get("maximumBytesBilled") or 0)
        if limit and cost > limit:
            return self.jobs.fail(job, known_error("bytes_limit", limit=limit, bytes=cost))
        if statement.is_dml:
            return await self._dml(job, statement, cost)
        if (refusal := await self._definition(query, statement)) is not None:
            return self.jobs.fail(job, known_error(refusal))
        return await self._run(job, cost, statement)

    async def _float_window(self, statement: statements.Statement) -> str | None:
        if statement.float_partition:
            return statement.float_partition
        for table in statement.tables if statement.window_columns else ():
            types = (await self.tables.about(table)).types
            for column in statement.window_columns:
                if types.get(column.lower()) in {"FLOAT", "FLOAT64"}:
                    return column
        return None

    async def _definition(self, query: Resource, statement: statements.Statement) -> str | None:
        """Limits of DDL, and of a query that writes its answer into a table."""
        told = query.get("destinationTable") or {}
        if told.get("tableId"):
            name = f"{told.get('datasetId')}.{told['tableId']}"
            return self.limits.query_write(name, (await self.tables.about(name)).partitioned, self.now_s())
        if statement.kind in statements.DEFINING:
            partitioned = (await self.tables.about(statement.target)).partitioned
            return self.limits.metadata_update(statement.target, partitioned, self.now_s())
        return None

    async def _dml(self, job: Job, statement: statements.Statement, cost: int) -> None:
        target = statement.target
        job.resource["configuration"]["query"]["destinationTable"] = self._reference(target)
        job.resource["statistics"]["query"] = {"statementType": statement.kind}
        partitioned = (await self.tables.about(target)).partitioned
        queue, mutating = self.limits.dml[target], statement.kind in statements.MUTATING
        if mutating and queue.full:
            return self.jobs.fail(job, known_error(self.queue_full_as, table=f"{self.project}:{target}"))
        if mutating and statement.kind != "MERGE" and self.limits.streaming(target, self.now_s()):
            return self.jobs.fail(job, known_error("streaming_buffer", table=f"{self.project}:{target}"))
        if (refusal := self.limits.dml_statement(target, partitioned, self.now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        if not mutating:
            return await self._run(job, cost, statement)
        turn = self._turns[job.job_id] = asyncio.Event()
        if queue.submit(job.job_id) == "run":
            turn.set()
        self._spawn(self._mutate(job, statement, cost, queue))
        return None

    async def _mutate(self, job: Job, statement: statements.Statement, cost: int, queue: DmlQueue) -> None:
        try:
            await self._turns[job.job_id].wait()
            if not job.done.is_set():
                self.jobs.start(job)
                await asyncio.sleep(self.speed.merge_s * self.speed.scale)
                await self._see_through(job, self._run(job, cost, statement))
        finally:
            del self._turns[job.job_id]
            following = queue.finish(job.job_id)
            if following is not None:
                self._turns[following].set()

    def stop_waiting(self, job: Job) -> None:
        """Cancel a statement that still waits for its turn; what runs, runs to its end."""
        if job.state == "PENDING" and job.job_id in self._turns:
            message = "Job execution was cancelled: User requested cancellation"
            self.jobs.fail(job, {"reason": "stopped", "message": message})
            self._turns[job.job_id].set()

    async def _run(self, job: Job, cost: int, statement: statements.Statement) -> None:
        """Let the emulator do it under the same id, and take over what came of it."""
        if job.state == "PENDING":
            self.jobs.start(job)
        config = {k: v for k, v in job.resource["configuration"].items() if k != "dryRun"}
        query = {k: v for k, v in config["query"].items() if not (statement.is_dml and k == "destinationTable")}
        query["query"] = await self.tables.with_views(query.get("query", ""))
        told = {"jobReference": job.resource["jobReference"], "configuration": {**config, "query": query}}
        answer = await self._emulate(told)
        if statement.kind != "SELECT":
            self.tables.forget(statement.target)
        self._settle(job, answer, cost)

    def _settle(self, job: Job, answer: httpx.Response, cost: int) -> None:
        told = answer.json()
        if answer.is_error:
            first = (told.get("error", {}).get("errors") or [{}])[0]
            message = told.get("error", {}).get("message", "")
            return self.jobs.fail(job, {"reason": first.get("reason", "invalidQuery"), "message": message})
        stats = dict(told.get("statistics", {}))
        if (error := told.get("status", {}).get("errorResult")) is not None:
            return self.jobs.fail(job, error, stats)
        if "query" in job.resource["configuration"]:
            self.meter.queries += 1
            self.meter.bytes_billed += cost
            kind = job.resource["statistics"].get("query", {}).get("statementType")
            bill = {"totalBytesBilled": str(cost), "totalBytesProcessed": str(cost)}
            stats["query"] = {**stats.get("query", {}), **bill, **({"statementType": kind} if kind else {})}
            stats["totalBytesProcessed"] = str(cost)
        return self.jobs.finish(job, stats)

    async def _load(self, job: Job, kind: str, media: bytes | None) -> None:
        target = job.resource["configuration"][kind].get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        partitioned = (await self.tables.about(name)).partitioned
        if kind == "load" and (refusal := self.limits.write_job("load", name, partitioned, self.now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        self.jobs.start(job)
        await asyncio.sleep(self.speed.load_s * self.speed.scale)
        told = {"jobReference": job.resource["jobReference"], "configuration": job.resource["configuration"]}
        answer = await self._emulate(told, media)
        self.tables.forget(name)
        self._settle(job, answer, 0)
        if job.error is None and media is not None:
            _count_rows(job, kind, media)
        return None

    async def _copy(self, job: Job) -> None:
        copy = job.resource["configuration"]["copy"]
        sources = copy.get("sourceTables") or [copy.get("sourceTable") or {}]
        target = copy.get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        if len(sources) > MAX_COPY_SOURCES:
            return self.jobs.fail(job, known_error("copy_sources", count=len(sources)))
        partitioned = (await self.tables.about(name)).partitioned
        if (refusal := self.limits.write_job("copy", name, partitioned, self.now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        self.jobs.start(job)
        await asyncio.sleep(self.speed.copy_s * self.speed.scale)
        error, rows = await self.copier.copy(sources, target, copy)
        self.tables.forget(name)
        if error is not None:
            return self.jobs.fail(job, error)
        return self.jobs.finish(job, {"copy": {"copiedRows": str(rows)}})

    def _reference(self, table: str) -> Resource:
        dataset, _, name = table.rpartition(".")
        return {"projectId": self.project, "datasetId": dataset, "tableId": name}

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _emulate(self, told: Resource, media: bytes | None = None) -> httpx.Response:
        path = f"/bigquery/v2/projects/{self.project}/jobs"
        if media is None:
            return await self.http.post(path, json=told)
        content, kind = multipart(told, media)
        return await self.http.post(
            f"/upload{path}", params={"uploadType": "multipart"}, content=content, headers={"content-type": kind}
        )


def _count_rows(job: Job, kind: str, media: bytes) -> None:
    """A load's output rows are those it brought; the emulator tells how many the table then has."""
    if job.resource["configuration"][kind].get("sourceFormat") == "NEWLINE_DELIMITED_JSON":
        rows = sum(1 for line in media.splitlines() if line.strip())
        job.resource["statistics"].setdefault("load", {})["outputRows"] = str(rows)


def _place(sql: str, words: str) -> dict[str, int]:
    """Line and column of some words in a statement, as BigQuery counts them; the start when they are not found."""
    before = sql[: max(sql.lower().find(words.lower()), 0)]
    return {"line": before.count("\n") + 1, "column": len(before) - (before.rfind("\n") + 1) + 1}
