"""Reports about a night's batches and writes: their states and sums, one batch's checks and progress, what was rejected."""

from __future__ import annotations

from datetime import date

from services.batches.reader import Batch
from services.cli.night_reports import judge, unknown_report
from services.cli.report import Report, Row, Table
from services.core.result import Health, worst
from services.core.text import pluralize
from services.gcp.clients import Clients
from services.judgement.statement import Subject, list_problems, list_sources
from services.nights.night_writes import describe_queue
from services.runs.actions import read_batch
from services.runs.progress import read_run_progress
from services.runs.verification import read_run_verification

_HEALTH_BY_OK = {True: Health.OK, False: Health.CRITICAL, None: Health.UNKNOWN}


def runs_report(clients: Clients, game_date: date) -> Report:
    """Every batch of a night, the newest first, each with its state and sums."""
    facts, judgement = judge(clients, game_date)
    title, batches = f"Batches, night of {game_date}", facts.batches.value
    if batches is None:
        return unknown_report(title, facts.batches)
    statement = judgement.get(Subject.BATCH)
    table = Table("batches", tuple(map(_batch_row, batches.batches)), "No batch of this night is recorded.")
    problems = tuple(dict.fromkeys((*list_problems((facts.batches,)), *batches.problems)))
    return Report(title, statement.health, statement.sentence, (), (table,), problems, batches.sources)


def _batch_row(batch: Batch) -> Row:
    return {
        "batch": batch.batch_id,
        "state": str(batch.state),
        "health": batch.health,
        "started": batch.started,
        "ended": batch.ended,
        "by": batch.started_by or None,
        "requested": batch.requested,
        "generated": batch.generated,
        "rows staged": batch.staged_rows,
        "rows written": batch.written_rows,
        "status": batch.status_text,
        "record": batch.record_source,
    }


def verification_report(clients: Clients, batch_id: str) -> Report:
    """Each check of a batch that has ended, with its numbers."""
    checks = read_run_verification(clients, read_batch(clients, {"batch_id": batch_id}))
    rows = tuple({"check": check.name, "result": _HEALTH_BY_OK[check.ok], "detail": check.detail} for check in checks)
    passed = sum(check.ok is True for check in checks)
    return Report(
        f"Verification of {batch_id}",
        worst(_HEALTH_BY_OK[check.ok] for check in checks),
        f"{passed} of {pluralize(len(checks), 'check')} passed",
        tables=(Table("checks", rows, ""),),
    )


def progress_report(clients: Clients, batch_id: str) -> Report:
    """How far a batch is, by its coordinator."""
    batch = read_batch(clients, {"batch_id": batch_id})
    progress = read_run_progress(clients, batch_id, batch.started)
    title = f"Progress of {batch_id}"
    if progress is None:
        return Report(title, Health.UNKNOWN, f"The coordinator has no {batch_id}; it is recorded as {batch.state}.")
    rows = tuple({"stage": name, "players": players, "of": progress.requested} for name, players in progress.stages)
    health = Health.CRITICAL if progress.stalled else batch.health
    details = (progress.message,) if progress.message else ()
    return Report(title, health, progress.summary, details, (Table("stages", rows, ""),), (), (progress.source,))


def writes_report(clients: Clients, game_date: date, with_attempts: bool) -> Report:
    """The writes of a night's runs to the predictions table: how many were rejected, and why."""
    facts, judgement = judge(clients, game_date)
    title, report, statement = f"DML errors, night of {game_date}", facts.writes.value, judgement.get(Subject.WRITES)
    if report is None:
        return Report(title, Health.UNKNOWN, statement.sentence, problems=list_problems((facts.writes,)))
    figures: dict[str, object] = {
        "attempted": report.attempted,
        "rejected": report.rejected,
        "rejected by the log": report.rejected_in_logs,
        "most outstanding": report.peak_outstanding,
        "last rejected at": report.last_rejected_at or ("" if report.rejected == 0 else None),
    }
    tables: list[Table] = [
        Table("figures", (figures,), ""),
        Table(
            "reasons",
            tuple({"reason": reason, "writes": count} for reason, count in report.by_reason),
            "No write is known to be rejected." if report.rejected is None else "No write was rejected.",
        ),
    ]
    if report.queue is not None:
        queue: tuple[Row, ...] = tuple(
            {
                "job": attempt.job_id,
                "state": "pending" if attempt.pending else "running",
                "statement": attempt.statement,
                "since": attempt.at,
                "as": attempt.user,
            }
            for attempt in report.queue
        )
        tables.append(Table("queue", queue, f"No statement is outstanding: {describe_queue(report)}."))
    if with_attempts:
        attempts: tuple[Row, ...] = tuple(
            {
                "at": attempt.at,
                "outcome": {True: "done", False: "rejected", None: "running"}[attempt.ok],
                "statement": attempt.statement,
                "reason": attempt.reason,
                "message": attempt.message,
                "job": attempt.job_id,
                "as": attempt.user,
            }
            for attempt in report.attempts
        )
        tables.append(Table("writes", attempts, "No write was attempted."))
    problems = tuple(dict.fromkeys((*list_problems((facts.writes,)), *report.problems)))
    sources = list_sources((facts.writes,))
    return Report(title, statement.health, statement.sentence, (), tuple(tables), problems, sources)
