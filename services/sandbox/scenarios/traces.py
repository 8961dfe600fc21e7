"""What a night left in the logs and in the job history, in the customer's shapes: repeated lines and both spellings included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from services.gcp.error_table import BY_KEY
from services.sandbox.scenarios.outcome import Outcome
from services.sandbox.scenarios.rows import REVISION, rfc3339, seeded_id
from services.sandbox.scenarios.slate import Slate

PROJECT = "nba-props-platform"
TARGET = f"{PROJECT}:nba_predictions.player_prop_predictions"
COORDINATOR_REVISION = "prediction-coordinator-00004-m2x"
WORKER, COORDINATOR = "prediction-worker", "prediction-coordinator"
Entry = dict[str, Any]


def error_text(key: str) -> str:
    """What the worker logged of a refused write."""
    if key == "schema":
        return f"400 Provided Schema does not match Table {TARGET}. Field vegas_line_source is missing in the table"
    known = BY_KEY[key]
    return f"{known.http} {known.message(table=TARGET)}"


def line(service: str, at: datetime, logger: str, level: str, message: str, copies: int = 1) -> Iterator[Entry]:
    """A log line as the service writes it; a second copy is the same line through the other stream."""
    revision = REVISION if service == WORKER else COORDINATOR_REVISION
    for copy in range(copies):
        yield {
            "insertId": seeded_id("log", service, at, message, copy)[:18],
            "timestamp": rfc3339(at + timedelta(milliseconds=copy)),
            "receiveTimestamp": rfc3339(at + timedelta(seconds=1)),
            "severity": "DEFAULT",
            "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2F{('stdout', 'stderr')[copy]}",
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
            "textPayload": f"{at:%Y-%m-%d %H:%M:%S} - {logger} - {level} - {message}",
        }


def structured(service: str, at: datetime, level: str, message: str, **fields: object) -> Entry:
    """The same through the structured logger: jsonPayload, severity set."""
    entry = next(line(service, at, "", level, message))
    del entry["textPayload"]
    return {**entry, "severity": level, "jsonPayload": {"message": message, **fields}}


def log_entries(slate: Slate, outcomes: tuple[Outcome, ...]) -> Iterator[Entry]:
    """Every line of a night's run."""
    if slate.run_at is None:
        return
    yield from _start(slate, len(outcomes))
    for outcome in outcomes:
        yield from _worker(slate, outcome)
    yield from _end(slate, outcomes)


def _start(slate: Slate, requests: int) -> Iterator[Entry]:
    at, name = slate.started, "coordinator"
    yield from line(
        COORDINATOR,
        at,
        name,
        "INFO",
        f"Starting prediction batch for {slate.game_date} (correlation_id={seeded_id(slate.batch_id)[:8]}, mode=multi_line)",
    )
    yield from line(
        COORDINATOR,
        at + timedelta(seconds=3),
        name,
        "INFO",
        f"Published {requests}/{requests} prediction requests [batch={slate.batch_id}]",
    )


def _worker(slate: Slate, outcome: Outcome) -> Iterator[Entry]:
    who, name = outcome.entry.player.lookup, "predictions.worker.worker"
    done = outcome.asked_at + timedelta(seconds=1.2)
    if not outcome.generated:
        text = f"PERMANENT failure for {who} on {slate.game_date} - acknowledging. Reason: {outcome.skip_reason}: {outcome.message}"
        yield from line(WORKER, done, name, "WARNING", text)
        return
    yield from line(WORKER, done, name, "INFO", f"Successfully generated 25 predictions for {who}")
    if outcome.error:
        at = max(outcome.write_started or done, done)
        if outcome.error == "dml_queue_full":
            yield from line(
                WORKER, at, name, "WARNING", f"🚨 BigQuery DML rate limit hit - {error_text(outcome.error)[:90]}"
            )
        yield from line(
            WORKER, at, name, "ERROR", f"Error writing to BigQuery for {who}: {error_text(outcome.error)}", 2
        )
    elif slate.plan.get("path") == "staging":
        yield from _staged(slate, who, done + timedelta(seconds=1.6), name)


def _staged(slate: Slate, who: str, at: datetime, name: str) -> Iterator[Entry]:
    """The same event told twice in two wordings: summing both would double the rows."""
    table, worker = staging_name(slate, who), worker_of(who)
    yield from line(
        WORKER,
        at,
        "predictions.worker.batch_staging_writer",
        "INFO",
        f"Staging write complete: 25 rows to {table} in 1612ms (batch={slate.batch_id}, worker={worker})",
    )
    yield from line(
        WORKER,
        at,
        name,
        "INFO",
        f"Staging write complete: 25 rows to {table} (batch={slate.batch_id}, worker={worker})",
    )


def worker_of(who: str) -> str:
    return f"{REVISION}_{seeded_id('worker', who)[:8]}"


def staging_name(slate: Slate, who: str) -> str:
    return f"nba_predictions._staging_{slate.batch_id}_{worker_of(who)}".replace("-", "_")


def _end(slate: Slate, outcomes: tuple[Outcome, ...]) -> Iterator[Entry]:
    at, name = ended(outcomes) + timedelta(seconds=4), "coordinator"
    done = sum(o.generated for o in outcomes)
    if any(o.staged_only for o in outcomes):
        staged = sum(o.staged_only for o in outcomes)
        text = f"Batch {slate.batch_id} STALLED at {done - staged}/{len(outcomes)} ({100 * (done - staged) / len(outcomes):.1f}%)"
        yield from line(COORDINATOR, at, name, "WARNING", text, 2)
        return
    yield from line(
        COORDINATOR,
        at,
        name,
        "INFO",
        f"Batch {slate.batch_id} complete! {len(outcomes)}/{len(outcomes)} players, status=success",
    )
    if slate.plan.get("path") == "staging":
        rows = 25 * done
        text = f"CONSOLIDATION_METRICS: {rows} rows merged in 5021ms for batch {slate.batch_id}, staging_tables={done}"
        yield from line(COORDINATOR, at + timedelta(seconds=6), name, "INFO", text)
        text = f"Consolidation SUCCESS: {rows} rows merged from {done} staging tables, cleaned={done - 6}"
        yield from line(COORDINATOR, at + timedelta(seconds=7), name, "INFO", text)
        yield from line(
            COORDINATOR,
            at + timedelta(seconds=7),
            name,
            "INFO",
            f"✅ Consolidation complete: {rows} rows, batch={slate.batch_id}",
        )
        yield structured(
            COORDINATOR,
            at + timedelta(seconds=8),
            "INFO",
            f"Phase 5 completion published for batch: {slate.batch_id}",
            batch_id=slate.batch_id,
        )


def ended(outcomes: tuple[Outcome, ...]) -> datetime:
    return max(o.write_ended or o.asked_at for o in outcomes)


def jobs(slate: Slate, outcomes: tuple[Outcome, ...]) -> Iterator[dict[str, Any]]:
    """A night's MERGE statements, refused ones with their error, as jobs.get answers them."""
    if slate.plan.get("path") != "direct":
        return
    for outcome in outcomes:
        if outcome.write_started is not None:
            yield _merge_job(slate, outcome)


def _merge_job(slate: Slate, outcome: Outcome) -> dict[str, Any]:
    job_id = seeded_id("merge", slate.game_date, outcome.entry.player.lookup)
    start, end = outcome.write_started, outcome.write_ended
    created = outcome.asked_at if outcome.error or start is None else min(outcome.asked_at, start)
    dataset, table = TARGET.split(":")[1].split(".")
    status: dict[str, Any] = {"state": "DONE"}
    if outcome.error:
        reason = "invalid" if outcome.error == "schema" else BY_KEY[outcome.error].reason
        error = {"reason": reason, "message": error_text(outcome.error)[4:]}
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
            "creationTime": _ms(created),
            "startTime": _ms(start or created),
            "endTime": _ms(end or created),
            "query": {"statementType": "MERGE", "totalBytesBilled": "0" if outcome.error else "20971520"},
        },
    }


def _ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))
