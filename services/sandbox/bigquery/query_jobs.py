"""Query jobs: the checks before a statement runs, the queue of DML statements per table, dry runs and the bytes they read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from starlette.responses import JSONResponse, Response

from services.sandbox.bigquery import ddl_schemas, dml_statistics, sql_inspection, sql_rewrites
from services.sandbox.bigquery.billing_meter import QueryCost, query_cost
from services.sandbox.bigquery.information_schema import InformationSchema, ViewDenied
from services.sandbox.bigquery.job_context import JobContext
from services.sandbox.bigquery.job_store import Job, Resource, known_error_result
from services.sandbox.bigquery.limits import DmlQueue, check_query_size
from services.sandbox.bigquery.partition_pruning import processed_fraction, query_parameters
from services.sandbox.bigquery.query_destinations import check_destination, find_destination, writing_statement
from services.sandbox.bigquery.sql_analysis import Analysis
from services.sandbox.bigquery.statement_checks import StatementChecks, StatementRefused
from services.sandbox.common.error_responses import error_response, job_error_response


class QueryJobs:
    """Runs the query jobs of one project."""

    information_schema: InformationSchema  # set by start_sandbox

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._checks = StatementChecks(context.tables, context.project)
        self._slot_events: dict[str, asyncio.Event] = {}

    async def run(self, job: Job) -> None:
        """Check a query job against every limit, then run or queue it."""
        query = job.resource["configuration"]["query"]
        text = query.get("query", "")
        statement = sql_inspection.inspect_sql(text)
        table_names = [
            t for t in await self._context.tables.expand_wildcards(statement.tables) if "INFORMATION_SCHEMA" not in t
        ]
        if (error_key := check_query_size(len(table_names), len(text))) is not None:
            return self._context.jobs.fail(job, known_error_result(error_key))
        try:
            analysis = await self._checks.check(query, statement, job.resource["jobReference"]["location"])
        except StatementRefused as refusal:
            return self._context.jobs.fail(job, refusal.error)
        cost, limit = await self._estimate_cost(query), int(query.get("maximumBytesBilled") or 0)
        if limit and cost.billed > limit:
            return self._context.jobs.fail(job, known_error_result("bytes_limit", limit=limit, bytes=cost.billed))
        if statement.is_dml:
            return await self._run_dml(job, statement, cost, analysis)
        if statement.kind == "TRUNCATE" and await self._context.tables.is_streaming(statement.target):
            return self._fail_streaming(job, statement)
        if find_destination(query) and (
            error := await check_destination(self._context.tables, self._context.project, query)
        ):
            return self._context.jobs.fail(job, error)
        if (write_error_key := await self._check_table_write(query, statement)) is not None:
            return self._context.jobs.fail(job, known_error_result(write_error_key))
        return await self._execute(job, cost, statement, analysis)

    async def dry_run(self, config: Resource, user: str, location: str) -> Response:
        """The response to a dry run: whether the statement is valid, and the bytes it would read."""
        query = config.get("query", {})
        try:
            analysis = await self._checks.check(query, sql_inspection.inspect_sql(query.get("query", "")), location)
            async with self.information_schema.materialize(query, user, location) as sql:
                response = await self._call_emulator({}, config, await self._rewrite(query, sql, analysis))
        except StatementRefused as refusal:
            return job_error_response(refusal.error)
        except ViewDenied as error:
            return error_response(403, "accessDenied", str(error))
        estimated_bytes = str((await self._estimate_cost(query)).processed)
        result = response.json()
        result.setdefault("status", {"state": "DONE"})
        stats = result.setdefault("statistics", {})
        stats["totalBytesProcessed"] = estimated_bytes
        stats.setdefault("query", {}).pop("totalRows", None)  # the emulator's own
        stats["query"].update({"totalBytesProcessed": estimated_bytes, "totalBytesBilled": "0"})
        return JSONResponse(result, response.status_code)

    async def _estimate_cost(self, query: Resource) -> QueryCost:
        statement = sql_inspection.inspect_sql(query.get("query", ""))
        parameters = query_parameters(query)
        tables = await self._context.tables.expand_wildcards(statement.billed_tables)
        return query_cost(
            await asyncio.gather(*(self._estimate_scanned_bytes(table, statement, parameters) for table in tables))
        )

    async def _estimate_scanned_bytes(
        self, table: str, statement: sql_inspection.Statement, parameters: Mapping[str, str]
    ) -> int:
        """Bytes a statement processes of a table: the columns it names, in the date partitions it cannot prune."""
        metadata = await self._context.tables.get_metadata(table)
        references = [reference for reference in statement.table_references if reference.table == table]
        prunes = metadata.partitioned_by and any(reference.bounds for reference in references)
        rows_by_day = await self._context.tables.rows_by_day(table) if prunes else {}
        columns_read = metadata.column_fraction(statement.columns)
        return round(
            metadata.size_bytes
            * processed_fraction(references, metadata.partitioned_by, rows_by_day, parameters, columns_read)
        )

    async def _check_table_write(self, query: Resource, statement: sql_inspection.Statement) -> str | None:
        """The error key of DDL or a query with a destination table that exceeds a limit, else None."""
        if name := find_destination(query):
            partitioned = (await self._context.tables.get_metadata(name)).partitioned
            return self._context.limits.check_query_write(name, partitioned, self._context.now_s())
        if statement.kind in sql_inspection.DDL_KINDS:
            partitioned = (await self._context.tables.get_metadata(statement.target)).partitioned
            return self._context.limits.check_metadata_update(statement.target, partitioned, self._context.now_s())
        return None

    async def _run_dml(
        self, job: Job, statement: sql_inspection.Statement, cost: QueryCost, analysis: Analysis
    ) -> None:
        target = statement.target
        full_name = f"{self._context.project}:{target}"
        job.resource["configuration"]["query"]["destinationTable"] = self._context.table_reference(target)
        job.resource["statistics"]["query"] = {"statementType": statement.kind}
        partitioned = (await self._context.tables.get_metadata(target)).partitioned
        queue, mutating = self._context.limits.dml_queues[target], statement.kind in sql_inspection.MUTATING_KINDS
        if mutating and queue.is_full:
            return self._context.jobs.fail(job, known_error_result(self._context.queue_full_error, table=full_name))
        if mutating and await self._context.tables.is_streaming(target):
            return self._fail_streaming(job, statement)
        if (
            error_key := self._context.limits.check_dml_statement(target, partitioned, self._context.now_s())
        ) is not None:
            return self._context.jobs.fail(job, known_error_result(error_key))
        if not mutating:
            return await self._execute(job, cost, statement, analysis)
        slot_event = self._slot_events[job.job_id] = asyncio.Event()
        if queue.submit(job.job_id) == "run":
            slot_event.set()
        self._context.start_task(self._run_in_slot(job, statement, cost, analysis, queue))
        return None

    async def _forget_replaced(self, query: Resource, statement: sql_inspection.Statement) -> None:
        """What was streamed into a table that the statement dropped or replaced is gone with it."""
        if statement.kind == "DROP" or (statement.kind == "CREATE" and "OR REPLACE" in query["query"].upper()):
            await self._context.tables.buffer.forget([statement.target])

    def _fail_streaming(self, job: Job, statement: sql_inspection.Statement) -> None:
        name, kinds = f"{self._context.project}.{statement.target}", "UPDATE or DELETE"
        kinds = "TRUNCATE TABLE" if statement.kind == "TRUNCATE" else kinds
        self._context.jobs.fail(job, known_error_result("streaming_buffer", table=name, kinds=kinds))

    async def _run_in_slot(
        self, job: Job, statement: sql_inspection.Statement, cost: QueryCost, analysis: Analysis, queue: DmlQueue
    ) -> None:
        try:
            await self._slot_events[job.job_id].wait()
            if not job.done.is_set():
                self._context.jobs.start(job)
                await asyncio.sleep(self._context.latency.merge_s * self._context.latency.scale)
                await self._context.run_guarded(job, self._execute(job, cost, statement, analysis))
        finally:
            del self._slot_events[job.job_id]
            next_job_id = queue.finish(job.job_id)
            if next_job_id is not None:
                self._slot_events[next_job_id].set()

    def cancel_pending(self, job: Job) -> None:
        """Cancel a statement that is still queued; a running one is not interrupted."""
        if job.state == "PENDING" and job.job_id in self._slot_events:
            message = "Job execution was cancelled: User requested cancellation"
            self._context.jobs.fail(job, {"reason": "stopped", "message": message})
            self._slot_events[job.job_id].set()

    async def _execute(
        self, job: Job, cost: QueryCost, statement: sql_inspection.Statement, analysis: Analysis
    ) -> None:
        """Run the job on the emulator under the same id and take over its status and statistics."""
        if job.state == "PENDING":
            self._context.jobs.start(job)
        await self._context.tables.advance()
        config = {k: v for k, v in job.resource["configuration"].items() if k != "dryRun"}
        query = {k: v for k, v in config["query"].items() if not (statement.is_dml and k == "destinationTable")}
        reference, merged = job.resource["jobReference"], dml_statistics.begin_statement()
        try:
            async with self.information_schema.materialize(
                query, job.resource["user_email"], reference["location"]
            ) as sql:
                response = await self._run_statement(reference, {**config, "query": query}, sql, statement, analysis)
                await self._forget_replaced(query, statement)
        except ViewDenied as error:
            return self._context.jobs.fail(job, {"reason": "accessDenied", "message": str(error)})
        if analysis.ddl is not None and not _has_failed(response):
            await self._record_schema(statement.target, analysis)
        if statement.kind != "SELECT":
            self._context.tables.invalidate(statement.target)
        self._context.complete(job, response, cost)
        query_statistics = job.resource["statistics"].get("query", {})
        if statement.is_dml and (affected_rows := query_statistics.get("numDmlAffectedRows")) is not None:
            query_statistics["dmlStats"] = dml_statistics.dml_stats(statement.kind, int(affected_rows), merged)
        return None

    async def _run_statement(
        self, reference: Resource, config: Resource, sql: str, statement: sql_inspection.Statement, analysis: Analysis
    ) -> httpx.Response:
        """Run the statement as the emulator needs it; the response is that of its last part, or of the first that failed."""
        rewritten = await self._rewrite(config["query"], sql, analysis)
        parts = sql_rewrites.split_alter(rewritten) if statement.kind == "ALTER" else [rewritten]
        if destination := find_destination(config["query"]):
            parts.insert(0, await writing_statement(self._context.tables, config["query"], rewritten))
            self._context.tables.invalidate(destination)
            config = {**config, "query": {k: v for k, v in config["query"].items() if k != "destinationTable"}}
        for part in parts[:-1]:
            response = await self._call_emulator({}, config, part)
            if _has_failed(response):
                return response
        return await self._call_emulator(reference, config, parts[-1])

    async def _rewrite(self, query: Resource, sql: str, analysis: Analysis) -> str:
        """The statement that the emulator gets for the `sql` of a query configuration."""
        if query.get("useLegacySql") is not True:
            sql = sql_rewrites.rewrite(sql, analysis, self._context.clock.now())
        return await self._context.tables.inline_tables_view(sql)

    async def _call_emulator(self, reference: Resource, config: Resource, sql: str) -> httpx.Response:
        body = {"configuration": {**config, "query": {**config.get("query", {}), "query": sql}}}
        return await self._context.call_emulator({**body, "jobReference": reference} if reference else body)

    async def _record_schema(self, table: str, analysis: Analysis) -> None:
        """Record the schema that the statement, which has run, gave a table."""
        before = await self._context.tables.get_metadata(table)
        fields = ddl_schemas.schema_after(analysis.ddl, before.fields if before.exists else None)
        if fields is not None:
            await self._context.tables.record_schema(self._context.project, *table.rpartition(".")[::2], fields)


def _has_failed(response: httpx.Response) -> bool:
    return response.is_error or "errorResult" in response.json().get("status", {})
