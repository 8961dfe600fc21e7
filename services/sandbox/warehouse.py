"""The gateway before the emulator: BigQuery's REST calls, its limits, its asynchronous jobs and its bill."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.foundation.clock import Clock
from services.foundation.google_errors import BY_KEY, body, recognise
from services.sandbox import statements
from services.sandbox.copies import Copier
from services.sandbox.jobs import Job, JobBook, Resource, known_error, millis
from services.sandbox.limits import MAX_COPY_SOURCES, Limits, query_shape
from services.sandbox.meter import Meter, billed

USER = "sandbox@prediction-on-call.local"
_PASSED = {
    "content-type",
    "accept",
    "content-encoding",
    "x-upload-content-type",
    "x-upload-content-length",
    "content-range",
}


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
        self.copier = Copier(self.http, project)
        self.queue_full_as = "dml_queue_full"
        self._turns: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._about: dict[str, tuple[int, bool, dict[str, str]]] = {}
        self._changed: dict[
            str, tuple[str, int | None]
        ] = {}  # table → (epoch ms of its last write, rows if counted since)

    def _now_s(self) -> float:
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

    # --- jobs -----------------------------------------------------------------------------------------------------

    async def insert(self, told: Resource, upload: tuple[bytes, str] | None = None) -> Response:
        """jobs.insert: accept the job, refuse it, or let it run and fail; the same id twice is 409."""
        config = told.get("configuration") or {}
        kind = next((k for k in ("query", "load", "copy", "extract") if k in config), "")
        if not kind:
            return JSONResponse(_plain(400, "invalid", "Required parameter is missing: configuration"), 400)
        if config.get("dryRun"):
            return await self._dry_run(config)
        job_id = (told.get("jobReference") or {}).get("jobId")
        job = self.jobs.open(config, job_id, USER)
        if job is None:
            return refused("duplicate_job", job=f"{self.project}:US.{job_id}")
        work = {"query": self._query, "copy": self._copy}.get(kind)
        if work is not None:
            await work(job)
        else:
            await self._load(job, kind, upload)
        return JSONResponse(job.resource)

    async def _dry_run(self, config: Resource) -> Response:
        answer = await self._emulate({"configuration": config})
        statement = statements.read(config.get("query", {}).get("query", ""))
        would = str(billed([(await self.about(table))[0] for table in statement.tables]))
        result = answer.json()
        result.setdefault("status", {"state": "DONE"})
        stats = result.setdefault("statistics", {})
        stats["totalBytesProcessed"] = would
        stats.setdefault("query", {}).update({"totalBytesProcessed": would, "totalBytesBilled": "0"})
        return JSONResponse(result, answer.status_code)

    async def _query(self, job: Job) -> None:
        query = job.resource["configuration"]["query"]
        statement = statements.read(query.get("query", ""))
        tables = [table for table in statement.tables if "INFORMATION_SCHEMA" not in table]
        if (shape := query_shape(len(tables), len(query.get("query", "")))) is not None:
            return self.jobs.fail(job, known_error(shape))
        if (column := await self._float_window(statement)) is not None:
            return self.jobs.fail(job, known_error("float_partition", line=1, column=1) | {"debugInfo": column})
        cost = billed([(await self.about(table))[0] for table in statement.tables])
        limit = int(query.get("maximumBytesBilled") or 0)
        if limit and cost > limit:
            return self.jobs.fail(job, known_error("bytes_limit", limit=limit, bytes=cost))
        if statement.is_dml:
            return await self._dml(job, statement, cost)
        return await self._run(job, cost, statement)

    async def _float_window(self, statement: statements.Statement) -> str | None:
        if statement.float_partition:
            return statement.float_partition
        for table in statement.tables if statement.window_columns else ():
            types = (await self.about(table))[2]
            for column in statement.window_columns:
                if types.get(column.lower()) in {"FLOAT", "FLOAT64"}:
                    return column
        return None

    async def _dml(self, job: Job, statement: statements.Statement, cost: int) -> None:
        job.resource["configuration"]["query"]["destinationTable"] = self._reference(statement.target)
        job.resource["statistics"]["query"] = {"statementType": statement.kind}
        partitioned = (await self.about(statement.target))[1]
        if statement.kind in statements.MUTATING and self.limits.dml[statement.target].full:
            return self.jobs.fail(job, known_error(self.queue_full_as, table=f"{self.project}:{statement.target}"))
        if (refusal := self.limits.dml_statement(statement.target, partitioned, self._now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        if statement.kind not in statements.MUTATING:
            return await self._run(job, cost, statement)
        answer = self.limits.dml[statement.target].submit(job.job_id)
        turn = self._turns[job.job_id] = asyncio.Event()
        if answer == "run":
            turn.set()
        self._spawn(self._mutate(job, statement, cost))
        return None

    async def _mutate(self, job: Job, statement: statements.Statement, cost: int) -> None:
        try:
            await self._turns[job.job_id].wait()
            self.jobs.start(job)
            await asyncio.sleep(self.speed.merge_s * self.speed.scale)
            await self._run(job, cost, statement)
        finally:
            del self._turns[job.job_id]
            following = self.limits.dml[statement.target].finish(job.job_id)
            if following is not None:
                self._turns[following].set()

    async def _run(self, job: Job, cost: int, statement: statements.Statement) -> None:
        """Let the emulator do it, under an id of its own (the same), and take over what came of it."""
        if job.state == "PENDING":
            self.jobs.start(job)
        config = {k: v for k, v in job.resource["configuration"].items() if k != "dryRun"}
        if statement.is_dml:
            config = {**config, "query": {k: v for k, v in config["query"].items() if k != "destinationTable"}}
        answer = await self._emulate({"jobReference": job.resource["jobReference"], "configuration": config})
        if statement.kind != "SELECT":
            self.forget(statement.target)
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
            told_query = {**stats.get("query", {}), "totalBytesBilled": str(cost), "totalBytesProcessed": str(cost)}
            kind = job.resource["statistics"].get("query", {}).get("statementType")
            stats |= {
                "query": {**told_query, **({"statementType": kind} if kind else {})},
                "totalBytesProcessed": str(cost),
            }
        return self.jobs.finish(job, stats)

    async def _load(self, job: Job, kind: str, upload: tuple[bytes, str] | None) -> None:
        target = job.resource["configuration"][kind].get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        partitioned = (await self.about(name))[1]
        if kind == "load" and (refusal := self.limits.write_job("load", name, partitioned, self._now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        self.jobs.start(job)
        await asyncio.sleep(self.speed.load_s * self.speed.scale)
        answer = await self._emulate(
            {"jobReference": job.resource["jobReference"], "configuration": job.resource["configuration"]}, upload
        )
        self.forget(name)
        return self._settle(job, answer, 0)

    async def _copy(self, job: Job) -> None:
        copy = job.resource["configuration"]["copy"]
        sources = copy.get("sourceTables") or [copy.get("sourceTable") or {}]
        target = copy.get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        if len(sources) > MAX_COPY_SOURCES:
            return self.jobs.fail(job, known_error("copy_sources", count=len(sources)))
        if (refusal := self.limits.write_job("copy", name, (await self.about(name))[1], self._now_s())) is not None:
            return self.jobs.fail(job, known_error(refusal))
        self.jobs.start(job)
        await asyncio.sleep(self.speed.copy_s * self.speed.scale)
        error, rows = await self.copier.copy(sources, target, copy)
        self.forget(name)
        if error is not None:
            return self.jobs.fail(job, error)
        return self.jobs.finish(job, {"copy": {"copiedRows": str(rows)}})

    # --- answers --------------------------------------------------------------------------------------------------

    async def get(self, job_id: str) -> Response:
        job = self.jobs.get(job_id)
        if job is None:
            return JSONResponse(_plain(404, "notFound", f"Not found: Job {self.project}:{job_id}"), 404)
        return JSONResponse(job.resource)

    async def results(self, request: Request, job_id: str) -> Response:
        """getQueryResults: wait a while for the end; an error is answered as the error it is."""
        job = self.jobs.get(job_id)
        if job is None:
            return JSONResponse(_plain(404, "notFound", f"Not found: Job {self.project}:{job_id}"), 404)
        wait_s = min(int(request.query_params.get("timeoutMs") or 10_000) / 1000, 20)
        try:
            await asyncio.wait_for(job.done.wait(), wait_s)
        except TimeoutError:
            return JSONResponse(
                {
                    "kind": "bigquery#getQueryResultsResponse",
                    "jobReference": job.resource["jobReference"],
                    "jobComplete": False,
                }
            )
        if job.error is not None:
            return failed(job.error)
        return await self.pass_on(request)

    async def query(self, told: Resource) -> Response:
        """jobs.query: insert, wait, and answer with the first page."""
        config = {
            "query": {
                k: v for k, v in told.items() if k not in {"dryRun", "timeoutMs", "maxResults", "requestId", "kind"}
            }
        }
        config["query"].setdefault("useLegacySql", False)
        answer = await self.insert({"configuration": {**config, **({"dryRun": True} if told.get("dryRun") else {})}})
        job = self.jobs.get(json.loads(bytes(answer.body)).get("jobReference", {}).get("jobId", ""))
        if job is None:
            return answer
        await job.done.wait()
        if job.error is not None:
            return failed(job.error)
        page = await self.http.get(
            f"/bigquery/v2/projects/{self.project}/queries/{job.job_id}",
            params={"maxResults": told.get("maxResults", 10_000)},
        )
        stats = job.resource["statistics"].get("query", {})
        return JSONResponse(
            {**page.json(), "kind": "bigquery#queryResponse", "totalBytesBilled": stats.get("totalBytesBilled", "0")}
        )

    async def partition(self, request: Request, dataset: str, table: str, day: str) -> Response:
        """One page of a date partition, in tabledata.list's shape."""
        asked = request.query_params
        columns = ", ".join(f"`{c}`" for c in asked.get("selectedFields", "").split(",") if c) or "*"
        start, size = (
            int(asked.get("pageToken") or asked.get("startIndex") or 0),
            int(asked.get("maxResults") or 10_000),
        )
        resource = (
            await self.http.get(f"/bigquery/v2/projects/{self.project}/datasets/{dataset}/tables/{table}")
        ).json()
        field = resource["timePartitioning"]["field"]
        where = f"{field} = DATE '{day[:4]}-{day[4:6]}-{day[6:8]}'"
        sql = f"SELECT {columns} FROM `{dataset}.{table}` WHERE {where} LIMIT {size} OFFSET {start}"
        told = await self.http.post(
            f"/bigquery/v2/projects/{self.project}/queries",
            json={"query": sql, "useLegacySql": False, "maxResults": size},
        )
        if told.is_error:
            return Response(told.content, told.status_code, {"content-type": "application/json"})
        rows = told.json().get("rows", [])
        answer = {"kind": "bigquery#tableDataList", "totalRows": str(start + len(rows)), "rows": rows}
        return JSONResponse({**answer, **({"pageToken": str(start + size)} if len(rows) == size else {})})

    # --- what the limits need to know --------------------------------------------------------------------------------

    async def about(self, table: str) -> tuple[int, bool, dict[str, str]]:
        """(bytes, partitioned, column types) of a table; a missing one is small and plain."""
        if table not in self._about:
            self._about[table] = await self._ask_about(table)
        return self._about[table]

    async def _ask_about(self, table: str) -> tuple[int, bool, dict[str, str]]:
        dataset, _, name = table.rpartition(".")
        if not dataset or "*" in name or "INFORMATION_SCHEMA" in table:
            return 0, False, {}
        told = await self.http.get(
            f"/bigquery/v2/projects/{self.project}/datasets/{dataset.split('.')[-1]}/tables/{name.split('@')[0]}"
        )
        if told.is_error:
            return 0, False, {}
        resource = told.json()
        types = {f["name"].lower(): f["type"] for f in resource.get("schema", {}).get("fields", [])}
        return int(resource.get("numBytes") or 0), "timePartitioning" in resource, types

    def forget(self, table: str) -> None:
        """A table was written or changed: what was known of it is old."""
        self._about.pop(table, None)
        self._changed[table] = (millis(self.clock.now()), None)

    async def correct(self, table: str, resource: Resource) -> None:
        """The emulator's metadata knows neither rows that DML and copies wrote nor when: count and date them here."""
        if table not in self._changed or "schema" not in resource:
            return
        at, rows = self._changed[table]
        if rows is None:
            told = await self.http.post(
                f"/bigquery/v2/projects/{self.project}/queries",
                json={"query": f"SELECT COUNT(*) FROM `{table}`", "useLegacySql": False},
            )
            rows = int(told.json()["rows"][0]["f"][0]["v"]) if not told.is_error else int(resource.get("numRows") or 0)
            self._changed[table] = (at, rows)
        size = int(resource.get("numBytes") or 0) or rows * 40 * len(resource["schema"].get("fields", []))
        resource.update({"numRows": str(rows), "numBytes": str(size), "lastModifiedTime": at})

    def _reference(self, table: str) -> Resource:
        dataset, _, name = table.rpartition(".")
        return {"projectId": self.project, "datasetId": dataset, "tableId": name}

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _emulate(self, told: Resource, upload: tuple[bytes, str] | None = None) -> httpx.Response:
        if upload is None:
            return await self.http.post(f"/bigquery/v2/projects/{self.project}/jobs", json=told)
        media, _ = upload
        part = "--sandbox-part\r\nContent-Type: "
        head = f"{part}application/json\r\n\r\n{json.dumps(told)}\r\n{part}application/octet-stream\r\n\r\n"
        return await self.http.post(
            f"/upload/bigquery/v2/projects/{self.project}/jobs",
            params={"uploadType": "multipart"},
            content=head.encode() + media + b"\r\n--sandbox-part--\r\n",
            headers={"content-type": "multipart/related; boundary=sandbox-part"},
        )


def parts_of(content_type: str, content: bytes) -> tuple[Resource, bytes]:
    """The job and the media of a multipart/related upload."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)
    if boundary is None:
        raise ValueError("multipart upload without a boundary")
    pieces = content.split(b"--" + boundary[1].encode())
    payloads = [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces if b"\r\n\r\n" in piece]
    return json.loads(payloads[0]), payloads[1]


def refused(key: str, **values: object) -> JSONResponse:
    """The HTTP answer of a limit."""
    return JSONResponse(body(BY_KEY[key], **values), BY_KEY[key].http)


def failed(error: Mapping[str, Any]) -> JSONResponse:
    """A failed job's error as getQueryResults answers it, with the code that belongs to its reason."""
    codes = {
        "notFound": 404,
        "accessDenied": 403,
        "quotaExceeded": 403,
        "rateLimitExceeded": 403,
        "duplicate": 409,
        "backendError": 503,
        "internalError": 500,
    }
    known = recognise(str(error.get("message", "")))
    code = known.http if known is not None else codes.get(str(error.get("reason")), 400)
    detail = {"domain": "global", **error}
    return JSONResponse({"error": {"code": code, "message": error.get("message", ""), "errors": [detail]}}, code)


def _plain(code: int, reason: str, message: str) -> Resource:
    return {
        "error": {
            "code": code,
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": reason}],
            "status": reason,
        }
    }
