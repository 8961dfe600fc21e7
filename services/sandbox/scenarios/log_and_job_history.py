"""A night's log entries and BigQuery jobs in the customer's formats, including duplicate lines and both wordings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from services.core.clock import to_rfc3339
from services.core.tables import PREDICTIONS_DATASET, PREDICTIONS_TABLE, PREDICTIONS_TABLE_NAME
from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.scenarios.player_outcomes import SimulatedOutcome
from services.sandbox.scenarios.rows import WORKER_REVISION, seeded_id
from services.sandbox.scenarios.slate import Slate

PROJECT = "nba-props-platform"
PREDICTIONS_TABLE_ID = f"{PROJECT}:{PREDICTIONS_TABLE}"
COORDINATOR_REVISION = "prediction-coordinator-00004-m2x"
WORKER, COORDINATOR = "prediction-worker", "prediction-coordinator"
FUNCTION, _FUNCTION_TOPIC = "phase4-to-phase5-orchestrator", "nba-predictions-trigger"
LogEntry = dict[str, Any]


def write_error_text(key: str) -> str:
    """The error text the worker logged for a rejected write; `key` is `schema` or a key of services.gcp.error_table."""
    if key == "schema":
        return f"400 Provided Schema does not match Table {PREDICTIONS_TABLE_ID}. Field vegas_line_source is missing in the table"
    known_error = ERRORS_BY_KEY[key]
    return f"{known_error.http_status} {known_error.format_message(table=PREDICTIONS_TABLE_ID)}"


def text_entries(
    service: str, at: datetime, logger_name: str, level: str, message: str, copies: int = 1
) -> Iterator[LogEntry]:
    """A log line as the service writes it (textPayload); a second copy is the same line on the other stream."""
    revision = WORKER_REVISION if service == WORKER else COORDINATOR_REVISION
    for copy in range(copies):
        yield {
            "insertId": seeded_id("log", service, at, message, copy)[:18],
            "timestamp": to_rfc3339(at + timedelta(milliseconds=copy)),
            "receiveTimestamp": to_rfc3339(at + timedelta(seconds=1)),
            "severity": "DEFAULT",
            "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2F{('stderr', 'stdout')[copy]}",
            "resource": {
                "type": "cloud_run_revision",
                "labels": {
                    "project_id": PROJECT,
                    "service_name": service,
                    "revision_name": revision,
                    "location": "us-west2",
                    "configuration_name": service,
                },
            },
            "textPayload": f"{at:%Y-%m-%d %H:%M:%S} - {logger_name} - {level} - {message}",
        }


def json_entry(service: str, at: datetime, level: str, message: str, **fields: object) -> LogEntry:
    """A line of the structured logger: jsonPayload, severity set."""
    entry = next(text_entries(service, at, "", level, message))
    del entry["textPayload"]
    return {**entry, "severity": level, "jsonPayload": {"message": message, **fields}}


def log_entries(slate: Slate, outcomes: tuple[SimulatedOutcome, ...]) -> Iterator[LogEntry]:
    """Every log entry of a night's run."""
    if slate.run_at is None:
        return
    yield from _function_entries(slate)
    yield from _batch_start_entries(slate, len(outcomes))
    for outcome in outcomes:
        yield from _worker_entries(slate, outcome)
    yield from _batch_end_entries(slate, outcomes)


def _function_entries(slate: Slate) -> Iterator[LogEntry]:
    """What the function before the predictions logged: that the phase before them has ended, and that it starts them."""
    for seconds_before, text in (
        (9, f"Phase 4 complete for {slate.game_date}, publishing to {_FUNCTION_TOPIC}"),
        (5, f"Function execution took 3861 ms, finished with status: 'ok' (game_date={slate.game_date})"),
    ):
        at = slate.started_at - timedelta(seconds=seconds_before)
        labels = {"project_id": PROJECT, "function_name": FUNCTION, "region": "us-west2"}
        yield {
            "insertId": seeded_id("log", FUNCTION, at, text)[:18],
            "timestamp": to_rfc3339(at),
            "receiveTimestamp": to_rfc3339(at + timedelta(seconds=1)),
            "severity": "INFO",
            "logName": f"projects/{PROJECT}/logs/cloudfunctions.googleapis.com%2Fcloud-functions",
            "resource": {"type": "cloud_function", "labels": labels},
            "textPayload": text,
        }


def _batch_start_entries(slate: Slate, requests: int) -> Iterator[LogEntry]:
    at, logger_name = slate.started_at, "coordinator"
    yield from text_entries(
        COORDINATOR,
        at,
        logger_name,
        "INFO",
        f"Starting prediction batch for {slate.game_date} (correlation_id={seeded_id(slate.batch_id)[:8]}, mode=multi_line)",
    )
    yield from text_entries(
        COORDINATOR,
        at + timedelta(seconds=3),
        logger_name,
        "INFO",
        f"Published {requests}/{requests} prediction requests [batch={slate.batch_id}]",
    )


def _worker_entries(slate: Slate, outcome: SimulatedOutcome) -> Iterator[LogEntry]:
    lookup, logger_name = outcome.entry.player.lookup, "predictions.worker.worker"
    generated_at = outcome.requested_at + timedelta(seconds=1.2)
    if not outcome.generated:
        text = f"PERMANENT failure for {lookup} on {slate.game_date} - acknowledging. Reason: {outcome.skip_reason}: {outcome.message}"
        yield from text_entries(WORKER, generated_at, logger_name, "WARNING", text)
        return
    yield from text_entries(
        WORKER, generated_at, logger_name, "INFO", f"Successfully generated 25 predictions for {lookup}"
    )
    if outcome.error:
        at = max(outcome.write_started_at or generated_at, generated_at)
        if outcome.error == "dml_queue_full":
            yield from text_entries(
                WORKER,
                at,
                logger_name,
                "WARNING",
                f"🚨 BigQuery DML rate limit hit - {write_error_text(outcome.error)[:90]}",
            )
        yield from text_entries(
            WORKER,
            at,
            logger_name,
            "ERROR",
            f"Error writing to BigQuery for {lookup}: {write_error_text(outcome.error)}",
            2,
        )
    elif slate.plan.get("path") == "staging":
        yield from _staging_write_entries(slate, lookup, generated_at + timedelta(seconds=1.6), logger_name)


def _staging_write_entries(slate: Slate, lookup: str, at: datetime, logger_name: str) -> Iterator[LogEntry]:
    """The same event logged twice in two wordings: summing both would double the rows."""
    table, worker = staging_table_name(slate, lookup), worker_id(lookup)
    yield from text_entries(
        WORKER,
        at,
        "predictions.worker.batch_staging_writer",
        "INFO",
        f"Staging write complete: 25 rows to {table} in 1612ms (batch={slate.batch_id}, worker={worker})",
    )
    yield from text_entries(
        WORKER,
        at,
        logger_name,
        "INFO",
        f"Staging write complete: 25 rows to {table} (batch={slate.batch_id}, worker={worker})",
    )


def worker_id(lookup: str) -> str:
    """The worker id of a night."""
    return f"{WORKER_REVISION}_{seeded_id('worker', lookup)[:8]}"


def staging_table_name(slate: Slate, lookup: str) -> str:
    """The staging table name of a night."""
    return f"nba_predictions._staging_{slate.batch_id}_{worker_id(lookup)}".replace("-", "_")


def _batch_end_entries(slate: Slate, outcomes: tuple[SimulatedOutcome, ...]) -> Iterator[LogEntry]:
    at, logger_name = last_write_at(outcomes) + timedelta(seconds=4), "coordinator"
    generated_count = sum(o.generated for o in outcomes)
    if any(o.staged_only for o in outcomes):
        staged_count = sum(o.staged_only for o in outcomes)
        completed = generated_count - staged_count
        percent = 100 * completed / len(outcomes)
        text = f"Batch {slate.batch_id} STALLED at {completed}/{len(outcomes)} ({percent:.1f}%)"
        yield from text_entries(COORDINATOR, at, logger_name, "WARNING", text, 2)
        return
    yield from text_entries(
        COORDINATOR,
        at,
        logger_name,
        "INFO",
        f"Batch {slate.batch_id} complete! {len(outcomes)}/{len(outcomes)} players, status=success",
    )
    if slate.plan.get("path") == "staging":
        rows = 25 * generated_count
        text = f"CONSOLIDATION_METRICS: {rows} rows merged in 5021ms for batch {slate.batch_id}, staging_tables={generated_count}"
        yield from text_entries(COORDINATOR, at + timedelta(seconds=6), logger_name, "INFO", text)
        text = f"Consolidation SUCCESS: {rows} rows merged from {generated_count} staging tables, cleaned={generated_count - 6}"
        yield from text_entries(COORDINATOR, at + timedelta(seconds=7), logger_name, "INFO", text)
        yield from text_entries(
            COORDINATOR,
            at + timedelta(seconds=7),
            logger_name,
            "INFO",
            f"✅ Consolidation complete: {rows} rows, batch={slate.batch_id}",
        )
        yield json_entry(
            COORDINATOR,
            at + timedelta(seconds=8),
            "INFO",
            f"Phase 5 completion published for batch: {slate.batch_id}",
            batch_id=slate.batch_id,
        )


def last_write_at(outcomes: tuple[SimulatedOutcome, ...]) -> datetime:
    """When the last write of a night ended."""
    return max(o.write_ended_at or o.requested_at for o in outcomes)


def merge_jobs(slate: Slate, outcomes: tuple[SimulatedOutcome, ...]) -> Iterator[dict[str, Any]]:
    """A night's MERGE jobs as jobs.get returns them, rejected ones with their error."""
    if slate.plan.get("path") != "direct":
        return
    for outcome in outcomes:
        if outcome.write_started_at is not None:
            yield _merge_job(slate, outcome)


def _merge_job(slate: Slate, outcome: SimulatedOutcome) -> dict[str, Any]:
    job_id = seeded_id("merge", slate.game_date, outcome.entry.player.lookup)
    start, end = outcome.write_started_at, outcome.write_ended_at
    created = outcome.requested_at if outcome.error or start is None else min(outcome.requested_at, start)
    dataset, table = PREDICTIONS_DATASET, PREDICTIONS_TABLE_NAME
    status: dict[str, Any] = {"state": "DONE"}
    if outcome.error:
        reason = "invalid" if outcome.error == "schema" else ERRORS_BY_KEY[outcome.error].reason
        error = {"reason": reason, "message": write_error_text(outcome.error)[4:]}
        status |= {"errorResult": error, "errors": [error]}
    return {
        "kind": "bigquery#job",
        "id": f"{PROJECT}:US.{job_id}",
        "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": "US"},
        "user_email": f"prediction-worker@{PROJECT}.iam.gserviceaccount.com",
        "configuration": {
            "jobType": "QUERY",
            "query": {
                "query": f"MERGE `{PROJECT}.{dataset}.{table}` T USING `{PROJECT}.{dataset}._tmp_{job_id[:8]}` S ON …",
                "destinationTable": {"projectId": PROJECT, "datasetId": dataset, "tableId": table},
                "useLegacySql": False,
            },
        },
        "status": status,
        "statistics": {
            "creationTime": _to_epoch_ms(created),
            "startTime": _to_epoch_ms(start or created),
            "endTime": _to_epoch_ms(end or created),
            "query": {"statementType": "MERGE", "totalBytesBilled": "0" if outcome.error else "20971520"},
        },
    }


def _to_epoch_ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
