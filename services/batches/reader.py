"""Runs: every batch of a game date with its state and its sums."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.batches.state import _STATE_HEALTH, LIVE, STALLED_AFTER, BatchState
from services.core.clock import ET, worker_run_days
from services.core.errors import OnCallError
from services.core.result import Health, Problem, Source
from services.gcp import query_catalog as catalog
from services.gcp.clients import Cloud
from services.gcp.query_catalog import Row
from services.telemetry import log_reader as logs


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


_FAILED = ("CONSOLIDATION FAILED", "CONSOLIDATION EXCEPTION", "MERGE RETURNED 0 ROWS", "VALIDATION FAILED")
_ABOUT_ITS_END = re.compile(r"rows merged|consolidation|MERGE returned 0 rows", re.IGNORECASE)
_PUBLISHED = re.compile(r"Published (?:\d+)/(?P<all>\d+) prediction requests \[batch=(?P<batch>[^\],]+)")
STARTS_WITHIN = timedelta(
    minutes=2
)  # the first run row follows its coordinator's first line, or precedes it by the clock


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
    recorded = [_recorded(rows, cloud.now()) for rows in by_batch(ledger.rows if ledger else (), "sequence")]
    known = {batch.batch_id for batch in recorded}
    said = tuple(line for line in lines.lines if line.service == cloud.settings.coordinator_service) if lines else ()
    reported = [reported_row(rows) for rows in by_batch(runs.rows if runs else (), "run_date")]
    told = [reported_batch(row, game_date, said, cloud.now()) for row in reported if row["batch_id"] not in known]
    silent = announced(said, game_date, recorded + told, cloud.now()) if ledger is not None and runs is not None else ()
    newest = sorted(
        [*recorded, *told, *silent], key=lambda b: b.started.timestamp() if b.started else 0.0, reverse=True
    )
    return Batches(tuple(newest), tuple(sources), tuple(problems))


def by_batch(rows: Iterable[Row], order: str) -> list[list[Row]]:
    """The rows of each batch in that column's order; rows of no batch and rows without it are left out."""
    found: dict[str, list[Row]] = {}
    for row in sorted((row for row in rows if row["batch_id"] and row[order] is not None), key=lambda row: row[order]):
        found.setdefault(row["batch_id"], []).append(row)
    return list(found.values())


def reported_row(rows: Sequence[Row]) -> dict[str, Any]:
    """What the workers' own run rows tell of their batch."""
    ends = [row["created_at"] or row["run_date"] for row in rows]
    return {
        "batch_id": rows[0]["batch_id"],
        "started_at": rows[0]["run_date"],
        "ended_at": max(ends),
        "requested": len({row["player_lookup"] for row in rows} - {None}),
        "generated": len({row["player_lookup"] for row in rows if row["success"]} - {None}),
    }


def _recorded(states: Sequence[Row], now: datetime) -> Batch:
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


def reported_batch(row: Mapping[str, Any], game_date: date, lines: Sequence[logs.LogLine], now: datetime) -> Batch:
    """A batch of the customer's own coordinator: its status is its own word, so it is never proof. Pure."""
    said = [
        line
        for line in lines
        if row["batch_id"] in line.message or (line.at >= row["started_at"] and _ABOUT_ITS_END.search(line.message))
    ]
    state = _state_of(said, now - row["ended_at"] <= STALLED_AFTER)
    return _told_batch(
        batch_id=row["batch_id"],
        game_date=game_date,
        state=state,
        started=row["started_at"],
        ended=None if state in LIVE else row["ended_at"],
        requested=row["requested"],
        generated=row["generated"],
        status_text=said[-1].message if said else "no status line found",
    )


def _state_of(said: Sequence[logs.LogLine], lately: bool) -> BatchState:
    """What the lines say; without a last word, a batch that lately did something is still at it."""
    words = " | ".join(line.message for line in said).upper()
    if "STALLED" in words or "TIMED OUT" in words:
        return BatchState.STALLED
    if any(word in words for word in _FAILED):
        return BatchState.CONSOLIDATION_FAILED
    over = "CONSOLIDATION SUCCESS" in words or "CONSOLIDATION COMPLETE" in words or "ROWS MERGED" in words
    if over or ("COMPLETE! " in words and "TRIGGERING CONSOLIDATION" not in words) or not lately:
        return BatchState.REPORTED_SUCCESS
    return BatchState.CONSOLIDATING if "COMPLETE! " in words else BatchState.RUNNING


def announced(
    lines: Sequence[logs.LogLine], game_date: date, known: Sequence[Batch], now: datetime
) -> tuple[Batch, ...]:
    """The newest batch that its coordinator began, where no worker has recorded anything of it: no row is no proof of calm."""
    begun = [line for line in lines if f"Starting prediction batch for {game_date}" in line.message]
    if not begun or any(b.started is not None and b.started >= begun[-1].at - STARTS_WITHIN for b in known):
        return ()
    at = begun[-1].at
    sent = next((m for line in lines if line.at >= at and (m := _PUBLISHED.search(line.message))), None)
    batch = _told_batch(
        batch_id=sent["batch"] if sent else f"batch begun {at.astimezone(ET):%H:%M} ET",
        game_date=game_date,
        state=BatchState.STALLED if now - at > STALLED_AFTER else BatchState.REQUESTED,
        started=at,
        ended=None,
        requested=int(sent["all"]) if sent else None,
        generated=0,
        status_text=sent[0] if sent else "begun, and no request was published",
    )
    return (batch,)


def _told_batch(**told: Any) -> Batch:
    told |= {"started_by": "scheduler", "staged_rows": None, "written_rows": None}
    return Batch(**told, health=_STATE_HEALTH[told["state"]], recorded_in="logs")
