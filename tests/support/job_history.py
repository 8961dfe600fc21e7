"""Past BigQuery jobs as jobs.get returns them, to fill a sandbox's job history with."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from services.sandbox.server import PROJECT


def make_query_job(
    job_id: str,
    created: datetime,
    statement: str = "SELECT",
    table: str = "nba_analytics.anonymous",
    error: dict[str, str] | None = None,
    location: str = "US",
) -> dict[str, Any]:
    """A query job that ended a second after it was created, with its destination `table` as dataset.table."""
    dataset_id, table_id = table.split(".")
    created_ms, ended_ms = (str(int(at.timestamp() * 1000)) for at in (created, created + timedelta(seconds=1)))
    return {
        "kind": "bigquery#job",
        "id": f"{PROJECT}:{location}.{job_id}",
        "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": location},
        "user_email": f"worker@{PROJECT}.iam.gserviceaccount.com",
        "configuration": {
            "jobType": "QUERY",
            "query": {
                "query": f"{statement} …",
                "destinationTable": {"projectId": PROJECT, "datasetId": dataset_id, "tableId": table_id},
                "useLegacySql": False,
            },
        },
        "status": {"state": "DONE", **({"errorResult": error, "errors": [error]} if error else {})},
        "statistics": {
            "creationTime": created_ms,
            "startTime": created_ms,
            "endTime": ended_ms,
            "query": {"statementType": statement, "totalBytesBilled": "0"},
        },
    }
