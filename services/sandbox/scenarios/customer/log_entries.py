"""The customer's log lines as Cloud Logging received them in that week: text without severity, most of them without batch or player.

Read from their services' versions of 29 and 30 December and 1 January (public repository najicham/nba-stats-scraper).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from services.core.clock import to_rfc3339
from services.core.tables import PREDICTIONS_DATASET
from services.gcp.error_table import ERRORS_BY_KEY
from services.sandbox.scenarios.customer.nights import PlayerRun, Run, coordinator_revision, worker_revision
from services.sandbox.scenarios.customer.table_rows import ROWS_PER_PLAYER, run_history_rows
from services.sandbox.scenarios.log_and_job_history import (
    COORDINATOR,
    PREDICTIONS_TABLE_ID,
    PROJECT,
    WORKER,
    LogEntry,
)
from services.sandbox.scenarios.rows import seeded_id

LOCATION = "us-west2"
FLOAT64_ERROR = "Partitioning by expressions of type FLOAT64 is not allowed at [7:68]"
_LOAD_URL = f"https://bigquery.googleapis.com/upload/bigquery/v2/projects/{PROJECT}/jobs?uploadType=multipart"


def log_entries(run: Run) -> Iterator[LogEntry]:
    """Everything that worker and coordinator printed and logged about one run."""
    for player in run.players:
        yield from _worker_entries(run, player)
    if run.output == "none":
        return
    if run.output != "prints only":
        yield from _start_entries(run)
    yield from _completion_entries(run)
    yield from _consolidation_entries(run)


def merge_job_id(run: Run, player: PlayerRun) -> str:
    """The id of the MERGE statement that wrote one player, or tried to."""
    return seeded_id("merge", run.batch_id, player.lookup)


def consolidation_job_id(run: Run) -> str:
    """The id of the MERGE statement over all staging tables of a run."""
    return seeded_id("consolidation", run.batch_id)


def query_error_text(error_key: str) -> str:
    """The error of BigQuery as their client prints it in front of the job's footer."""
    error = ERRORS_BY_KEY[error_key]
    return f"{error.http_status} {error.format_message(table=PREDICTIONS_TABLE_ID)}"


def _entry(service: str, at: datetime, text: str, stream: str) -> LogEntry:
    revision = worker_revision(at) if service == WORKER else coordinator_revision(at)
    return {
        "insertId": seeded_id("customer log", service, at, stream, text)[:18],
        "timestamp": to_rfc3339(at),
        "receiveTimestamp": to_rfc3339(at + timedelta(seconds=1)),
        "severity": "DEFAULT",
        "logName": f"projects/{PROJECT}/logs/run.googleapis.com%2F{stream}",
        "resource": {
            "type": "cloud_run_revision",
            "labels": {
                "project_id": PROJECT,
                "service_name": service,
                "revision_name": revision,
                "location": LOCATION,
                "configuration_name": service,
            },
        },
        "textPayload": text,
    }


def printed(service: str, at: datetime, text: str) -> Iterator[LogEntry]:
    """What print() wrote: on stdout, without a prefix."""
    yield _entry(service, at, text, "stdout")


def logged(service: str, at: datetime, logger_name: str, level: str, message: str) -> Iterator[LogEntry]:
    """What their logger wrote on stderr: every line of the message is an entry of its own, the first has the prefix."""
    first, *others = message.splitlines()
    prefix = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} - {logger_name} - {level} - "
    yield _entry(service, at, prefix + first, "stderr")
    for i, text in enumerate(filter(str.strip, others)):
        yield _entry(service, at + timedelta(microseconds=100 * (i + 1)), text, "stderr")


def _footer(job_id: str) -> str:
    return f"\n\nLocation: {LOCATION}\nJob ID: {job_id}\n"


def _request_entry(at: datetime, latency_s: float) -> LogEntry:
    """The request log of a worker's answer: 204 whatever became of the write, and no payload."""
    entry = _entry(WORKER, at, f"request {latency_s}", "requests")
    del entry["textPayload"]
    request = {
        "requestMethod": "POST",
        "requestUrl": f"https://{WORKER}-756957797294.{LOCATION}.run.app/predict",
        "status": 204,
        "userAgent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
        "latency": f"{latency_s:.6f}s",
        "protocol": "HTTP/1.1",
    }
    return {**entry, "severity": "INFO", "httpRequest": request}


def _worker_entries(run: Run, player: PlayerRun) -> Iterator[LogEntry]:
    lookup, at = player.lookup, player.requested_at

    def log(at: datetime, level: str, message: str, logger_name: str = "worker") -> Iterator[LogEntry]:
        return logged(WORKER, at, logger_name, level, message)

    yield from log(at, "INFO", f"Processing prediction request: {lookup} on {run.game_date}")
    if not player.generated:
        yield from log(at + timedelta(seconds=0.3), "ERROR", f"No features available for {lookup} on {run.game_date}")
        yield from log(at + timedelta(seconds=0.4), "WARNING", f"No predictions generated for {lookup}")
        return
    yield from log(at + timedelta(seconds=0.4), "INFO", f"Features validated for {lookup} (quality: 88.0)")
    yield from (_direct_write if run.direct else _staging_write)(run, player)
    yield from log(
        player.write_ended_at + timedelta(seconds=0.1),
        "INFO",
        f"Successfully generated {ROWS_PER_PLAYER} predictions for {lookup}",
    )
    yield _request_entry(at, (player.write_ended_at - at).total_seconds() + 0.15)


def _direct_write(run: Run, player: PlayerRun) -> Iterator[LogEntry]:
    """Neither line of a write names the player; an error's footer is two entries without a prefix."""
    loaded = f"Loaded {ROWS_PER_PLAYER} predictions to staging table"
    yield from logged(WORKER, player.write_started_at, "worker", "INFO", loaded)
    if not player.refused:
        merged = f"MERGE complete: {ROWS_PER_PLAYER} rows affected (inserts + updates)"
        yield from logged(WORKER, player.write_ended_at, "worker", "INFO", merged)
        return
    text = f"Error writing to BigQuery: {query_error_text(player.refused)}{_footer(merge_job_id(run, player))}"
    yield from logged(WORKER, player.write_ended_at, "worker", "ERROR", text)


def _staging_write(run: Run, player: PlayerRun) -> Iterator[LogEntry]:
    """Two lines for one write, and three for one failure, of which the last names the player."""
    at, writer = player.write_ended_at, "batch_staging_writer"
    elapsed_s = (at - player.write_started_at).total_seconds()
    if run.plan.get("id") == "fallback":
        missing = f"No batch_id provided, using fallback: {run.batch_id}"
        yield from logged(WORKER, player.write_started_at, "worker", "WARNING", missing)
    if player.refused:
        error = ERRORS_BY_KEY[player.refused].format_message(method="JobService.insertJob", table=PREDICTIONS_TABLE_ID)
        text = f"Unexpected error writing to staging: Forbidden: 403 POST {_LOAD_URL}: {error}"
        trace = "\nTraceback (most recent call last):\ngoogle.api_core.exceptions.Forbidden: 403 POST"
        yield from logged(WORKER, at, writer, "ERROR", text + trace)
        failed_at = at + timedelta(milliseconds=2)
        yield from logged(WORKER, failed_at, "worker", "ERROR", f"Staging write failed: {text}")
        metric = f"error_type=StagingWriteError, records={ROWS_PER_PLAYER}, duration={elapsed_s:.3f}s"
        text = f"BigQuery write failed for {player.lookup}: {metric}"
        yield from logged(WORKER, failed_at + timedelta(milliseconds=3), "write_metrics", "WARNING", text)
        return
    done = (
        f"Staging write complete: {ROWS_PER_PLAYER} rows to {PROJECT}.{PREDICTIONS_DATASET}.{run.staging_table(player)}"
    )
    ids = f"(batch={run.batch_id}, worker={run.worker_id(player)})"
    yield from logged(WORKER, at, writer, "INFO", f"{done} in {1000 * elapsed_s:.1f}ms {ids}")
    yield from logged(WORKER, at + timedelta(milliseconds=1), "worker", "INFO", f"{done} {ids}")


def _start_entries(run: Run) -> Iterator[LogEntry]:
    """The start of a run: nothing in it names the batch."""
    at, total = run.started_at, len(run.players)
    correlation_id, day = seeded_id(run.batch_id)[:8], run.game_date
    history = next(run_history_rows(run))["run_id"]
    published_at = at + timedelta(seconds=3 + 0.02 * total)
    lines: list[tuple[datetime, str, str]] = [
        (at, "coordinator", f"Starting prediction batch for {day} (correlation_id={correlation_id}, parent=None)"),
        (at, "player_loader", f"Creating prediction requests for {day} (min_minutes=15)"),
        (at + timedelta(seconds=2), "player_loader", f"Found {total} players for {day}"),
        (
            at + timedelta(seconds=2),
            "progress_tracker",
            f"Initialized ProgressTracker for {total} players (thread-safe)",
        ),
        (
            at + timedelta(seconds=2.5),
            "run_history",
            f"Started batch tracking: {history} (game_date={day}, correlation_id={correlation_id})",
        ),
        *((published_at, "coordinator", f"Published {n}/{total} requests") for n in range(50, total + 1, 50)),
        (published_at, "coordinator", f"Published {total} requests successfully, 0 failed"),
        (published_at, "coordinator", f"Published {total}/{total} prediction requests"),
    ]
    for line_at, logger_name, message in lines:
        yield from logged(COORDINATOR, line_at, logger_name, "INFO", message)


def _completion_entries(run: Run) -> Iterator[LogEntry]:
    """A line per answer, also for one whose rows were lost, and the end that every run reaches."""
    answered = sorted((p for p in run.players if p.generated), key=lambda p: p.write_ended_at)
    for number, player in enumerate(answered, start=1):
        at, lookup = player.write_ended_at + timedelta(seconds=0.3), player.lookup
        if run.output.startswith("prints"):
            text = f"📥 Completion: {lookup} (batch={run.batch_id}, predictions={ROWS_PER_PLAYER})"
            yield from printed(COORDINATOR, at, text)
            recorded = f"✅ Recorded: {lookup} → batch_complete={number == len(run.players)}"
            yield from printed(COORDINATOR, at + timedelta(milliseconds=90), recorded)
        if run.output != "prints only":
            text = f"Player {lookup} completed ({number}/{len(run.players)}) with {ROWS_PER_PLAYER} predictions"
            yield from logged(COORDINATOR, at, "progress_tracker", "INFO", text)
    if len(answered) < len(run.players):
        return
    end = run.ended_at + timedelta(seconds=0.5)
    if run.output.startswith("prints"):
        yield from printed(COORDINATOR, end, f"🎉 Batch {run.batch_id} complete! Triggering consolidation...")
    if run.output != "prints only":
        took = f"{(end - run.started_at).total_seconds():.1f}s ({ROWS_PER_PLAYER * len(answered)} predictions)"
        text = f"Batch complete! {len(answered)}/{len(run.players)} players in {took}"
        yield from logged(COORDINATOR, end, "progress_tracker", "INFO", text)


def _consolidation_entries(run: Run) -> Iterator[LogEntry]:
    if len([p for p in run.players if p.generated]) < len(run.players):
        return  # their coordinator waits for ever for the players without features
    if run.consolidation != "none":
        tables = sum(player.stored for player in run.players)
        yield from (_merged if run.consolidation == "complete" else _merge_failed)(run, tables)
    yield from _summary_entries(run)


def _merged(run: Run, tables: int) -> Iterator[LogEntry]:
    """Two kinds of line for one event: with the batch and without."""
    batch, at = run.batch_id, run.ended_at + timedelta(seconds=1)
    rows = tables * (5 if run.plan.get("one_line") else ROWS_PER_PLAYER)
    found, ran = f"Found {tables} staging tables for batch={batch}", f"with {tables} staging tables"
    effect = f"{rows} rows affected in 4876.3ms (batch={batch})"
    result = f"{rows} rows merged from {tables} staging tables"
    if run.output.startswith("prints"):
        yield from printed(COORDINATOR, at, f"🔍 {found}")
        yield from printed(COORDINATOR, at, f"🔄 Executing MERGE for batch={batch} {ran}")
        yield from printed(COORDINATOR, at + timedelta(seconds=4.9), f"✅ MERGE complete: {effect}")
        yield from printed(COORDINATOR, at + timedelta(seconds=5), f"🧹 Cleaning up {tables} staging tables...")
        yield from printed(COORDINATOR, run.merged_at, f"✅ Cleaned up {tables}/{tables} staging tables")
        yield from printed(COORDINATOR, run.merged_at, f"✅ Consolidation SUCCESS: {result}, cleaned={tables}")
    if run.output != "prints only":
        for line_at, logger_name, message in (
            (at, "batch_staging_writer", found),
            (at, "batch_staging_writer", f"Executing consolidation MERGE for batch={batch} {ran}"),
            (at + timedelta(seconds=4.9), "batch_staging_writer", f"Consolidation MERGE complete: {effect}"),
            (at + timedelta(seconds=5), "batch_staging_writer", found),
            (run.merged_at, "batch_staging_writer", f"Cleaned up {tables}/{tables} staging tables for batch={batch}"),
            (run.merged_at, "coordinator", f"✅ Consolidation complete: {result}"),
        ):
            yield from logged(COORDINATOR, line_at, logger_name, "INFO", message)


def _merge_failed(run: Run, tables: int) -> Iterator[LogEntry]:
    """Up to four lines for one failure, two of them without a prefix; none names the batch."""
    at = run.merged_at
    found = f"Found {tables} staging tables for batch={run.batch_id}"
    yield from logged(COORDINATOR, run.ended_at + timedelta(seconds=1), "batch_staging_writer", "INFO", found)
    error = f"Invalid MERGE query: 400 {FLOAT64_ERROR}"
    with_footer = error + _footer(consolidation_job_id(run))
    if run.output.startswith("prints"):
        yield from printed(COORDINATOR, at, f"❌ BadRequest error in MERGE: {error}")
    yield from logged(COORDINATOR, at, "batch_staging_writer", "ERROR", with_footer)
    if run.output.startswith("prints"):
        yield from printed(COORDINATOR, at + timedelta(milliseconds=2), f"❌ Consolidation FAILED: {error}")
    failed = f"❌ Consolidation failed: {with_footer}"
    yield from logged(COORDINATOR, at + timedelta(milliseconds=3), "coordinator", "ERROR", failed)


def _summary_entries(run: Run) -> Iterator[LogEntry]:
    """Says success whatever became of the rows; the JSON is an entry for each of its lines."""
    at, total = run.merged_at + timedelta(seconds=1), len(run.players)
    if run.output.startswith("prints"):
        yield from printed(COORDINATOR, at, f"✅ Phase 5 completion published for batch: {run.batch_id}")
    if run.output == "prints only":
        return
    ids = f"(message_id={int(seeded_id(run.batch_id)[:8], 16)}, correlation_id={seeded_id(run.batch_id)[:8]})"
    history = next(run_history_rows(run))["run_id"]
    seconds = (run.ended_at - run.started_at).total_seconds()
    for logger_name, message in (
        (
            "run_history",
            f"Completed batch tracking: {history} (status=success, records={total}, duration={seconds:.1f}s)",
        ),
        ("coordinator", f"✅ Published unified batch summary for {run.batch_id} {ids}"),
        ("coordinator", "Summary: " + json.dumps({"expected_players": total, "completed_players": total}, indent=2)),
    ):
        yield from logged(COORDINATOR, at, logger_name, "INFO", message)
