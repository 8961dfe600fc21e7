"""Load and extract jobs: their limits, the load itself on the emulator, and the rows it reports."""

from __future__ import annotations

import asyncio

from services.sandbox.bigquery.job_context import JobContext
from services.sandbox.bigquery.job_store import Job, known_error_result


class LoadJobs:
    """Runs the load and extract jobs of one project."""

    def __init__(self, context: JobContext) -> None:
        self._context = context

    async def run(self, job: Job, kind: str, media: bytes | None) -> None:
        """Run a load or extract job, with the uploaded rows if it has any."""
        target = job.resource["configuration"][kind].get("destinationTable") or {}
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
        body = {"jobReference": job.resource["jobReference"], "configuration": job.resource["configuration"]}
        response = await self._context.call_emulator(body, media)
        self._context.tables.invalidate(name)
        self._context.complete(job, response, 0)
        if job.error is None and media is not None:
            _set_output_rows(job, kind, media)
        return None


def _set_output_rows(job: Job, kind: str, media: bytes) -> None:
    """A load's outputRows are the rows it loaded; the emulator reports the table's total instead."""
    if job.resource["configuration"][kind].get("sourceFormat") == "NEWLINE_DELIMITED_JSON":
        rows = sum(1 for line in media.splitlines() if line.strip())
        job.resource["statistics"].setdefault("load", {})["outputRows"] = str(rows)
