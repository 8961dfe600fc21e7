"""Runs: every batch of a game date with its state and its sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from services import logs
from services.foundation import catalog
from services.foundation.clients import Cloud
from services.foundation.errors import OnCallError
from services.foundation.reading import Health, Problem, Source
from services.night_sources import Row, worker_run_days


class BatchState(StrEnum):
    """Where a batch stands; architecture.md §4."""

    REQUESTED = "requested"
    RUNNING = "running"
    STAGED = "staged"
    CONSOLIDATING = "consolidating"
    CONSOLIDATED = "consolidated"
    CONSOLIDATION_FAILED = "consolidation failed"
    STALLED = "stalled"
    ABANDONED = "abandoned"
    REPORTED_SUCCESS = "reported success"  # the customer's older coordinator: its own word, unproven


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
    status_text: str  # what the coordinator itself says of it
    health: Health
    recorded_in: str  # "ledger" or "logs"


@dataclass(frozen=True)
class Batches:
    batches: tuple[Batch, ...]  # newest first
    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()


LIVE = {BatchState.REQUESTED, BatchState.RUNNING, BatchState.STAGED, BatchState.CONSOLIDATING}
STALLED_AFTER = timedelta(minutes=10)


def read_batches(cloud: Cloud, game_date: date) -> Batches:
    """Batches of a game date: from our ledger, and from the run rows and log lines of a coordinator that keeps none.

    Raises OnCallError when neither the ledger nor the run rows can be read; one of them missing is told in `problems`.
    """
    sources: list[Source] = []
    problems: list[Problem] = []

    def ask(source: str, read: Callable[[], Any]) -> Any:
        try:
            answer = read()
        except OnCallError as error:
            problems.append(Problem.of(source, cloud.now(), error))
            return None
        sources.append(answer.source)
        return answer

    ledger = ask("batch ledger", lambda: catalog.run(cloud, "runs.ledger", game_date=game_date))
    days = worker_run_days(game_date)
    runs = ask("worker runs", lambda: catalog.run(cloud, "night.worker_runs", game_date=game_date, **days))
    if ledger is None and runs is None:
        raise OnCallError("No record of batches can be read.", problems[0].sentence)
    lines = ask("coordinator log", lambda: logs.read_night(cloud, game_date))
    said = [line for line in lines.lines if line.service == cloud.settings.coordinator_service] if lines else []
    recorded = [_recorded(rows, cloud.now()) for rows in _by_batch(ledger.rows if ledger else ())]
    known = {batch.batch_id for batch in recorded}
    told = [
        _reported(batch_id, rows, game_date, said)
        for batch_id, rows in _of_runs(runs.rows if runs else ()).items()
        if batch_id not in known
    ]
    newest = sorted(recorded + told, key=lambda b: b.started.timestamp() if b.started else 0.0, reverse=True)
    return Batches(tuple(newest), tuple(sources), tuple(problems))


def _by_batch(rows: Iterable[Row]) -> list[list[Row]]:
    """The states of each batch, oldest first."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["sequence"]):
        found.setdefault(row["batch_id"], []).append(row)
    return list(found.values())


def _of_runs(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The workers' run rows of each batch."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["batch_id"] is not None:
            found.setdefault(row["batch_id"], []).append(row)
    return found


def _recorded(states: list[Row], now: datetime) -> Batch:
    row = states[-1]
    state = BatchState(row["state"])
    if state in LIVE and now - row["recorded_at"] > STALLED_AFTER:
        state = BatchState.STALLED
    written = [row[c] for c in ("inserted", "updated", "unchanged")]
    return Batch(
        batch_id=row["batch_id"],
        game_date=row["game_date"],
        state=state,
        started=min(each["recorded_at"] for each in states),
        ended=None if state in LIVE else row["recorded_at"],
        started_by=row["started_by"] or "",
        requested=row["requested"],
        generated=row["generated"],
        staged_rows=row["staged_rows"],
        written_rows=None if None in written else sum(written),
        status_text=row["reason"] or state.value,
        health=_STATE_HEALTH[state],
        recorded_in="ledger",
    )


_STATE_HEALTH = {
    BatchState.REQUESTED: Health.OK,
    BatchState.RUNNING: Health.OK,
    BatchState.STAGED: Health.OK,
    BatchState.CONSOLIDATING: Health.OK,
    BatchState.CONSOLIDATED: Health.OK,
    BatchState.CONSOLIDATION_FAILED: Health.CRITICAL,
    BatchState.STALLED: Health.CRITICAL,
    BatchState.ABANDONED: Health.WARNING,
    BatchState.REPORTED_SUCCESS: Health.UNKNOWN,
}


def _reported(batch_id: str, rows: list[Row], game_date: date, lines: list[logs.LogLine]) -> Batch:
    """A batch of the customer's own coordinator: its status is its own word, so it is never proof."""
    said = [line for line in lines if batch_id in line.message or "rows merged" in line.message]
    text = said[-1].message if said else "no status line found"
    stalled = any("STALLED" in line.message or "TIMED OUT" in line.message for line in said)
    failed = any("Consolidation FAILED" in line.message or "EXCEPTION" in line.message for line in said)
    state = (
        BatchState.STALLED if stalled else BatchState.CONSOLIDATION_FAILED if failed else BatchState.REPORTED_SUCCESS
    )
    return Batch(
        batch_id=batch_id,
        game_date=game_date,
        state=state,
        started=min(row["run_date"] for row in rows),
        ended=max((row["created_at"] for row in rows if row["created_at"] is not None), default=None),
        started_by="scheduler",
        requested=len({row["player_lookup"] for row in rows}),
        generated=len({row["player_lookup"] for row in rows if row["success"]}),
        staged_rows=None,
        written_rows=None,
        status_text=text,
        health=_STATE_HEALTH[state],
        recorded_in="logs",
    )
