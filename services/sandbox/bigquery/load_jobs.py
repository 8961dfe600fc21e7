"""Load and extract jobs: their limits, the table that a load makes or changes, its rows, and what it reports."""

from __future__ import annotations

import asyncio

from services.sandbox.bigquery.job_context import JobContext
from services.sandbox.bigquery.job_store import Job, Resource, known_error_result
from services.sandbox.bigquery.load_validation import LoadedRows, LoadRefused, infer_schema, plan_schema, read_rows
from services.sandbox.bigquery.schema_changes import Field

_KEPT_PROPERTIES = ("timePartitioning", "rangePartitioning", "clustering", "labels", "description", "friendlyName")


class LoadJobs:
    """Runs the load and extract jobs of one project."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    async def run(self, job: Job, kind: str, media: bytes | None) -> None:
        """Run a load or extract job, with the uploaded rows if it has any."""
        load = job.resource["configuration"][kind]
        target = load.get("destinationTable") or {}
        name = f"{target.get('datasetId')}.{target.get('tableId')}"
        partitioned = (await self._context.tables.get_metadata(name)).partitioned
        if (
            kind == "load"
            and (error_key := self._context.limits.check_write_job("load", name, partitioned, self._context.now_s()))
            is not None
        ):
            return self._context.jobs.fail(job, known_error_result(error_key))
        self._context.jobs.start(job)
        await asyncio.sleep(self._context.latency.load_s * self._context.latency.scale)
        loaded = None
        if kind == "load" and media is not None:
            try:
                loaded = await self._prepare(load, name, media)
            except LoadRefused as refusal:
                return self._context.jobs.fail(job, refusal.errors[0], errors=refusal.errors)
            media = loaded.media if loaded is not None else media
        body = {"jobReference": job.resource["jobReference"], "configuration": job.resource["configuration"]}
        response = await self._context.call_emulator(body, media)
        self._context.tables.invalidate(name)
        self._context.complete(job, response)
        if job.error is None and loaded is not None:
            # The emulator reports the table's total instead.
            statistics = {"outputRows": str(loaded.rows), "badRecords": str(loaded.bad_rows)}
            job.resource["statistics"].setdefault("load", {}).update(statistics)
        return None

    async def _prepare(self, load: Resource, name: str, media: bytes) -> LoadedRows | None:
        """Check a load against its table, and make or change the table once all is well; raises LoadRefused.

        Returns None for a format whose rows only the emulator reads.
        """
        response = await self._context.tables.fetch(name)
        existing = None if response.is_error else response.json()
        self._check_dispositions(load, name, existing)
        if load.get("sourceFormat") != "NEWLINE_DELIMITED_JSON":
            return None
        truncates = load.get("writeDisposition") == "WRITE_TRUNCATE"
        job_fields = (load.get("schema") or {}).get("fields")
        if not job_fields and load.get("autodetect"):
            load = {**load, "schema": {"fields": infer_schema(media)}}
        replaced = existing is None or (truncates and bool((load.get("schema") or {}).get("fields")))
        current = None if existing is None or replaced else existing["schema"]["fields"]
        fields = plan_schema(load, f"{self._context.project}:{name}", current)
        loaded = read_rows(media, fields, load)
        await self._apply_schema(load, name, existing, fields, replaced)
        return loaded

    def _check_dispositions(self, load: Resource, name: str, existing: Resource | None) -> None:
        full_name = f"{self._context.project}:{name}"
        if existing is None and load.get("createDisposition") == "CREATE_NEVER":
            raise LoadRefused({"reason": "notFound", "message": f"Not found: Table {full_name}"})
        has_rows = existing is not None and (
            int(existing.get("numRows") or 0) or self._context.tables.buffer.has_rows(name)
        )
        if has_rows and load.get("writeDisposition") == "WRITE_EMPTY":
            raise LoadRefused({"reason": "duplicate", "message": f"Already Exists: Table {full_name}"})

    async def _apply_schema(
        self, load: Resource, name: str, existing: Resource | None, fields: list[Field], replaced: bool
    ) -> None:
        if load.get("writeDisposition") == "WRITE_TRUNCATE":
            await self._context.tables.buffer.forget([name])
        if not replaced and existing is not None:
            if fields != existing["schema"]["fields"]:
                await self._context.tables.change_schema(name, existing["schema"]["fields"], fields)
            return
        if existing is not None and fields == existing["schema"]["fields"]:
            return
        properties = {**(existing or {}), **load, **(load.get("destinationTableProperties") or {})}
        resource = {key: properties[key] for key in _KEPT_PROPERTIES if properties.get(key)}
        if existing is not None:
            await self._context.tables.delete(name)
        response = await self._context.tables.create(name, {**resource, "schema": {"fields": fields}})
        if response.is_error:
            error = response.json()["error"]
            raise LoadRefused({"reason": error["errors"][0]["reason"], "message": error["message"]})
