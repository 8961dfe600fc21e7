"""Reads every batch of a game date with its state and its counts, from the ledger, run rows and log lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypedDict, TypeVar, cast

from services.batches.state import HEALTH_BY_BATCH_STATE, IN_PROGRESS_STATES, STALL_TIMEOUT, BatchState
from services.core.clock import ET, worker_run_days
from services.core.errors import OnCallError
from services.core.result import DataSource, Health, Problem, sum_or_unknown
from services.gcp import query_catalog
from services.gcp.clients import Clients
from services.telemetry import log_reader


class _StateRow(TypedDict):
    """A row of the query batches.states_by_date."""

    batch_id: str
    game_date: date
    state: str
    sequence: int
    recorded_at: datetime
    started_by: str | None
    reason: str | None
    requested: int | None
    generated: int | None
    staged_rows: int | None
    inserted: int | None
    updated: int | None
    unchanged: int | None


class _RunRow(TypedDict):
    """A row of the query nights.worker_runs."""

    player_lookup: str | None
    batch_id: str
    success: bool | None
    run_date: datetime
    created_at: datetime | None


class RunSummary(TypedDict):
    """A batch as its workers' run rows show it."""

    batch_id: str
    started_at: datetime
    ended_at: datetime
    requested: int
    generated: int


BatchRow = TypeVar("BatchRow", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Batch:
    """One batch. Counts are None where nothing recorded them."""

    batch_id: str
    game_date: date
    state: BatchState
    started: datetime | None
    ended: datetime | None
    started_by: str
    requested: int | None
    generated: int | None
    staged_rows: int | None
    written_rows: int | None
    status_text: str  # its state in the coordinator's own words
    health: Health
    record_source: str  # "ledger" or "logs"


@dataclass(frozen=True)
class Batches:
    """The batches of a game date, newest first, and the sources that could not be read."""

    batches: tuple[Batch, ...]
    sources: tuple[DataSource, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def newest(self) -> Batch | None:
        """The batch that started last; None when there is none."""
        return next(iter(self.batches), None)

    @property
    def running(self) -> tuple[Batch, ...]:
        """The batches in progress, newest first."""
        return tuple(batch for batch in self.batches if batch.state in IN_PROGRESS_STATES)


_FAILURE_PHRASES = ("CONSOLIDATION FAILED", "CONSOLIDATION EXCEPTION", "MERGE RETURNED 0 ROWS", "VALIDATION FAILED")
_END_PHRASES = re.compile(r"rows merged|consolidation|MERGE returned 0 rows", re.IGNORECASE)
_PUBLISHED_REQUESTS = re.compile(r"Published (?:\d+)/(?P<all>\d+) prediction requests \[batch=(?P<batch>[^\],]+)")
# The first run row follows its coordinator's first line, or precedes it by as much as their clocks differ.
MAX_START_SKEW = timedelta(minutes=2)


def read_batches(clients: Clients, game_date: date) -> Batches:
    """Batches of a game date: from our ledger, and from run rows and log lines where a coordinator keeps no ledger.

    Raises OnCallError when neither the ledger nor the run rows can be read; one of them missing is reported in `problems`.
    """
    sources: list[DataSource] = []
    problems: list[Problem] = []

    def read_source(source: str, read: Callable[[], Any]) -> Any:
        try:
            result = read()
        except OnCallError as error:
            problems.append(Problem.from_error(source, clients.now(), error))
            return None
        sources.append(result.source)
        return result

    ledger = read_source(
        "batch ledger", lambda: query_catalog.run_query(clients, "batches.states_by_date", game_date=game_date)
    )
    days = worker_run_days(game_date)
    runs = read_source(
        "worker runs", lambda: query_catalog.run_query(clients, "nights.worker_runs", game_date=game_date, **days)
    )
    if ledger is None and runs is None:
        raise OnCallError("No record of batches can be read.", problems[0].message)
    lines = read_source(
        "coordinator log", lambda: log_reader.read_night_log(clients, game_date, log_reader.STATUS_FILTER)
    )
    if lines is not None and lines.problem is not None:
        problems.append(lines.problem)
    state_rows = cast(tuple[_StateRow, ...], ledger.rows if ledger else ())
    ledger_batches = [_batch_from_ledger(rows, clients.now()) for rows in group_by_batch(state_rows, "sequence")]
    recorded_ids = {batch.batch_id for batch in ledger_batches}
    coordinator_lines = (
        tuple(line for line in lines.lines if line.service == clients.settings.coordinator_service) if lines else ()
    )
    run_rows = cast(tuple[_RunRow, ...], runs.rows if runs else ())
    run_summaries = [summarize_run_rows(rows) for rows in group_by_batch(run_rows, "run_date")]
    log_batches = [
        batch_from_logs(row, game_date, coordinator_lines, clients.now())
        for row in run_summaries
        if row["batch_id"] not in recorded_ids
    ]
    announced_batches = (
        announced_without_rows(coordinator_lines, game_date, ledger_batches + log_batches, clients.now())
        if ledger is not None and runs is not None
        else ()
    )
    newest_first = sorted(
        [*ledger_batches, *log_batches, *announced_batches],
        key=lambda b: b.started.timestamp() if b.started else 0.0,
        reverse=True,
    )
    return Batches(tuple(newest_first), tuple(sources), tuple(problems))


def group_by_batch(rows: Iterable[BatchRow], order: str) -> list[list[BatchRow]]:
    """The rows of each batch in that column's order; rows of no batch and rows without it are left out."""
    groups: dict[str, list[BatchRow]] = {}
    for row in sorted((row for row in rows if row["batch_id"] and row[order] is not None), key=lambda row: row[order]):
        groups.setdefault(row["batch_id"], []).append(row)
    return list(groups.values())


def summarize_run_rows(rows: Sequence[_RunRow]) -> RunSummary:
    """One summary row of a batch, from its workers' run rows."""
    end_times = [row["created_at"] or row["run_date"] for row in rows]
    return {
        "batch_id": rows[0]["batch_id"],
        "started_at": rows[0]["run_date"],
        "ended_at": max(end_times),
        "requested": len({row["player_lookup"] for row in rows} - {None}),
        "generated": len({row["player_lookup"] for row in rows if row["success"]} - {None}),
    }


def _batch_from_ledger(state_rows: Sequence[_StateRow], now: datetime) -> Batch:
    row = state_rows[-1]
    state = BatchState(row["state"])
    if state in IN_PROGRESS_STATES and now - row["recorded_at"] > STALL_TIMEOUT:
        state = BatchState.STALLED
    return Batch(
        batch_id=row["batch_id"],
        game_date=row["game_date"],
        state=state,
        started=min(state_row["recorded_at"] for state_row in state_rows),
        ended=None if state in IN_PROGRESS_STATES else row["recorded_at"],
        started_by=row["started_by"] or "",
        requested=row["requested"],
        generated=row["generated"],
        staged_rows=row["staged_rows"],
        written_rows=sum_or_unknown((row["inserted"], row["updated"], row["unchanged"])),
        status_text=row["reason"] or state.value,
        health=HEALTH_BY_BATCH_STATE[state],
        record_source="ledger",
    )


def batch_from_logs(row: RunSummary, game_date: date, lines: Sequence[log_reader.LogLine], now: datetime) -> Batch:
    """A batch of the customer's own coordinator: its status is what the coordinator claims, never proof. Pure."""
    status_lines = [
        line
        for line in lines
        if row["batch_id"] in line.message or (line.at >= row["started_at"] and _END_PHRASES.search(line.message))
    ]
    state = _infer_state(status_lines, now - row["ended_at"] <= STALL_TIMEOUT)
    return _log_batch(
        batch_id=row["batch_id"],
        game_date=game_date,
        state=state,
        started=row["started_at"],
        ended=None if state in IN_PROGRESS_STATES else row["ended_at"],
        requested=row["requested"],
        generated=row["generated"],
        status_text=status_lines[-1].message if status_lines else "no status line found",
    )


def _infer_state(status_lines: Sequence[log_reader.LogLine], recently_active: bool) -> BatchState:
    """The state that the lines claim; without a final line, a batch with recent activity is still running."""
    text = " | ".join(line.message for line in status_lines).upper()
    if "STALLED" in text or "TIMED OUT" in text:
        return BatchState.STALLED
    if any(phrase in text for phrase in _FAILURE_PHRASES):
        return BatchState.CONSOLIDATION_FAILED
    completed = "CONSOLIDATION SUCCESS" in text or "CONSOLIDATION COMPLETE" in text or "ROWS MERGED" in text
    if completed or ("COMPLETE! " in text and "TRIGGERING CONSOLIDATION" not in text) or not recently_active:
        return BatchState.UNVERIFIED_SUCCESS
    return BatchState.CONSOLIDATING if "COMPLETE! " in text else BatchState.RUNNING


def announced_without_rows(
    lines: Sequence[log_reader.LogLine], game_date: date, known_batches: Sequence[Batch], now: datetime
) -> tuple[Batch, ...]:
    """The newest batch that its coordinator started and of which no worker has recorded anything; empty when there is none."""
    start_lines = [line for line in lines if f"Starting prediction batch for {game_date}" in line.message]
    if not start_lines:
        return ()
    at = start_lines[-1].at
    if any(batch.started is not None and batch.started >= at - MAX_START_SKEW for batch in known_batches):
        return ()
    published = next((m for line in lines if line.at >= at and (m := _PUBLISHED_REQUESTS.search(line.message))), None)
    batch = _log_batch(
        batch_id=published["batch"] if published else f"batch begun {at.astimezone(ET):%H:%M} ET",
        game_date=game_date,
        state=BatchState.STALLED if now - at > STALL_TIMEOUT else BatchState.REQUESTED,
        started=at,
        ended=None,
        requested=int(published["all"]) if published else None,
        generated=0,
        status_text=published[0] if published else "begun, and no request was published",
    )
    return (batch,)


def _log_batch(**fields: Any) -> Batch:
    fields |= {"started_by": "scheduler", "staged_rows": None, "written_rows": None}
    return Batch(**fields, health=HEALTH_BY_BATCH_STATE[fields["state"]], record_source="logs")
