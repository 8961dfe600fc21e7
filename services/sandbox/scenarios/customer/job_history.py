"""The customer's BigQuery jobs in jobs.get's shape: a MERGE per player or per batch, and the load jobs before it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE, PREDICTIONS_TABLE_NAME
from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.bigquery.job_store import to_epoch_ms
from services.sandbox.scenarios.customer.log_entries import (
    FLOAT64_ERROR,
    LOCATION,
    consolidation_job_id,
    merge_job_id,
)
from services.sandbox.scenarios.customer.nights import PlayerRun, Run
from services.sandbox.scenarios.log_and_job_history import PREDICTIONS_TABLE_ID, PROJECT
from services.sandbox.scenarios.rows import seeded_id

Job = dict[str, Any]
SERVICE_ACCOUNT = "756957797294-compute@developer.gserviceaccount.com"
MERGE_BYTES = "698351616"  # every MERGE scans their whole unpartitioned table


def jobs(run: Run) -> Iterator[Job]:
    """Every load and MERGE of a run."""
    for player in run.players:
        if player.generated:
            yield from _write_jobs(run, player)
    if run.consolidation in ("complete", "failed"):
        yield _consolidation_job(run)


def _write_jobs(run: Run, player: PlayerRun) -> Iterator[Job]:
    if not run.direct:
        if not player.refused:  # a refused jobs.insert leaves no job
            yield _load_job(run, player, run.staging_table(player), player.write_ended_at)
        return
    table = f"_staging_predictions_{int(player.write_started_at.timestamp() * 1000)}"
    yield _load_job(run, player, table, player.write_started_at)
    error = None
    if player.refused:
        known = ERRORS_BY_KEY[player.refused]
        error = {"reason": known.reason, "message": known.format_message(table=PREDICTIONS_TABLE_ID)}
    sql = f"MERGE `{PROJECT}.{PREDICTIONS_TABLE}` T USING `{PROJECT}.{PREDICTIONS_DATASET}.{table}` S ON …"
    yield _merge_job(merge_job_id(run, player), sql, player.write_started_at, player.write_ended_at, error)


def _consolidation_job(run: Run) -> Job:
    tables = [f"`{PROJECT}.{PREDICTIONS_DATASET}.{run.staging_table(p)}`" for p in run.players if p.stored]
    union = " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables)
    sql = f"MERGE `{PROJECT}.{PREDICTIONS_TABLE}` T USING (SELECT * EXCEPT(row_num) FROM ({union})) S ON …"
    failed = run.consolidation == "failed"
    error = {"reason": "invalidQuery", "location": "query", "message": FLOAT64_ERROR} if failed else None
    start = run.ended_at + timedelta(seconds=1)
    return _merge_job(consolidation_job_id(run), sql, start, run.merged_at, error)


def _merge_job(job_id: str, sql: str, start: datetime, end: datetime, error: dict[str, str] | None) -> Job:
    table = {"projectId": PROJECT, "datasetId": PREDICTIONS_DATASET, "tableId": PREDICTIONS_TABLE_NAME}
    query = {"query": sql, "destinationTable": table, "useLegacySql": False, "writeDisposition": "WRITE_TRUNCATE"}
    bytes_billed = "0" if error else MERGE_BYTES
    statistics = {"query": {"statementType": "MERGE", "totalBytesBilled": bytes_billed}}
    return _job(job_id, {"jobType": "QUERY", "query": query}, start, end, error, statistics)


def _load_job(run: Run, player: PlayerRun, table: str, end: datetime) -> Job:
    load = {
        "destinationTable": {"projectId": PROJECT, "datasetId": PREDICTIONS_DATASET, "tableId": table},
        "sourceFormat": "NEWLINE_DELIMITED_JSON",
        "createDisposition": "CREATE_IF_NEEDED",
        "writeDisposition": "WRITE_TRUNCATE" if run.direct else "WRITE_APPEND",
    }
    start = end - timedelta(seconds=0.8) if run.direct else player.write_started_at
    job_id = seeded_id("load", run.batch_id, player.lookup)
    return _job(job_id, {"jobType": "LOAD", "load": load}, start, end, None, {"load": {"outputRows": "25"}})


def _job(
    job_id: str,
    configuration: Job,
    start: datetime,
    end: datetime,
    error: dict[str, str] | None,
    statistics: dict[str, Any],
) -> Job:
    status: dict[str, Any] = {"state": "DONE"}
    if error is not None:
        status |= {"errorResult": error, "errors": [error]}
    return {
        "kind": "bigquery#job",
        "id": f"{PROJECT}:{LOCATION}.{job_id}",
        "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": LOCATION},
        "user_email": SERVICE_ACCOUNT,
        "configuration": configuration,
        "status": status,
        "statistics": {
            "creationTime": to_epoch_ms(start),
            "startTime": to_epoch_ms(start),
            "endTime": to_epoch_ms(end),
            **statistics,
        },
    }
